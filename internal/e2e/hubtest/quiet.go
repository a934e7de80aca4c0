package hubtest

// QuietSDK drops what a test's own Temporal client has to say.
type QuietSDK struct{}

func (QuietSDK) Debug(string, ...any) {}
func (QuietSDK) Info(string, ...any)  {}
func (QuietSDK) Warn(string, ...any)  {}
func (QuietSDK) Error(string, ...any) {}
