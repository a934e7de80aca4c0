package lifecycle

import "context"

// Service is anything that runs until it is stopped.
//
// Start returns when the service is ready, or with the error that kept it from
// that, having cleaned up after itself; ctx bounds the start only, not the
// life. Stop waits until everything the service began has ended, or ctx is
// done; it is safe to call twice, and on a service that never started.
type Service interface {
	Start(ctx context.Context) error
	Stop(ctx context.Context) error
}

// Func makes a Service of two functions; either may be nil.
type Func struct {
	StartFunc func(ctx context.Context) error
	StopFunc  func(ctx context.Context) error
}

var _ Service = Func{}

// Start implements Service.
func (f Func) Start(ctx context.Context) error {
	if f.StartFunc == nil {
		return nil
	}
	return f.StartFunc(ctx)
}

// Stop implements Service.
func (f Func) Stop(ctx context.Context) error {
	if f.StopFunc == nil {
		return nil
	}
	return f.StopFunc(ctx)
}
