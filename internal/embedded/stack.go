package embedded

import (
	"context"
	"time"

	"github.com/nats-io/nats.go"
)

// Stack is what runs: where each part is, how it is, and how to end it.
type Stack struct {
	DatabaseURL     string // with password: never log it
	NATSURL         string
	TemporalAddress string // host:port
	UIURL           string // of Temporal's web UI; empty where Temporal is external

	// Took is how long each part needed to start, for the banner and the log.
	Took map[string]time.Duration

	connect func(options ...nats.Option) (*nats.Conn, error)
	checks  []Check
	stop    func(ctx context.Context) error
}

// Check is the health of one embedded part.
type Check struct {
	Name  string
	Check func(ctx context.Context) error // says why the part is down, or nil
}

// ConnectNATS connects to NATS; to the embedded one without touching the network.
func (s *Stack) ConnectNATS(options ...nats.Option) (*nats.Conn, error) { return s.connect(options...) }

// Checks lists the health of the parts that are embedded.
func (s *Stack) Checks() []Check { return s.checks }

// Stop ends the parts: Temporal, then NATS, then Postgres; last it gives the
// data directory free. What uses them must have stopped before.
func (s *Stack) Stop(ctx context.Context) error { return s.stop(ctx) }
