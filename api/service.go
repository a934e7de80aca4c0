package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/omnihub/omni/api/hooks"
	"github.com/omnihub/omni/api/ws"
	"github.com/omnihub/omni/internal/control"
)

// Deps is what the API is handed.
type Deps struct {
	Addr    string // "127.0.0.1:8881"; port 0 takes a free one, see Service.Addr
	Version string // of the hub, for the OpenAPI document
	Control *control.Control
	Hooks   hooks.Receiver // nil: no webhooks and pages
	Events  ws.Log
	Signal  ws.Signal // nil: the live log looks every second
	Tokens  ws.Tokens // nil: nothing is streamed
	Log     *slog.Logger
	Tracer  trace.Tracer // nil: no spans
	Meter   metric.Meter // nil: no measurements
	Metrics http.Handler // of /metrics; nil: none

	// Requests per second and key; zero: 200, with bursts of 400. Negative: no limit.
	Rate  float64
	Burst int

	TrustedProxies []netip.Prefix // whose X-Forwarded-For is believed; nil: nobody's
}

// The defaults of the rate limit.
const (
	DefaultRate  = 200
	DefaultBurst = 400
)

// Service is the HTTP server (lifecycle.Service).
type Service struct {
	listening

	deps Deps
	live *ws.Hub
	log  *slog.Logger

	// Guarded by listening's mutex.
	cancel   context.CancelFunc
	cutOff   context.CancelFunc // of every request and hijacked connection
	endAudit context.CancelFunc // once no request is left that would be written down
	running  sync.WaitGroup
}

// New wires the server without listening yet.
func New(d Deps) (*Service, error) {
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.Rate == 0 {
		d.Rate, d.Burst = DefaultRate, DefaultBurst
	}
	s := &Service{deps: d, live: ws.NewHub(d.Events, d.Signal, d.Tokens, d.Log), log: d.Log}
	handler, err := newEngine(d, s.live)
	if err != nil {
		return nil, fmt.Errorf("making the API: %w", err)
	}
	s.server = &http.Server{
		Handler: handler, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute,
		WriteTimeout: 90 * time.Second, // longer than the longest ?wait=; streams set their own
		IdleTimeout:  2 * time.Minute, MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(d.Log.Handler(), slog.LevelDebug),
	}
	return s, nil
}

// Handler is the whole API, for tests without a listener.
func (s *Service) Handler() http.Handler { return s.server.Handler }

// Start listens, and returns once requests are answered.
func (s *Service) Start(ctx context.Context) error {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", s.deps.Addr)
	if err != nil {
		return fmt.Errorf("listening on %s: %w", s.deps.Addr, err)
	}
	if err := s.live.Start(ctx); err != nil {
		_ = l.Close()
		return err
	}
	// Ended by Stop, not by the context of starting.
	run, cancel := context.WithCancel(context.Background())
	requests, cutOff := context.WithCancel(context.Background())
	audit, endAudit := context.WithCancel(context.Background())
	s.server.BaseContext = func(net.Listener) context.Context { return requests }
	s.mu.Lock()
	s.listener, s.cancel, s.cutOff, s.endAudit = l, cancel, cutOff, endAudit
	s.mu.Unlock()
	s.running.Go(func() {
		if err := s.server.Serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) {
			s.log.Error("the HTTP server ended", "error", err)
		}
	})
	s.running.Go(func() { s.housekeeping(run) })
	s.running.Go(func() { s.deps.Control.Audit.Run(audit) })
	return nil
}

// Stop takes no more requests, ends live connections with a word, and waits
// for requests under way until ctx is done; then it cuts them off.
func (s *Service) Stop(ctx context.Context) error {
	s.mu.Lock()
	cancel := s.cancel
	s.cancel = nil
	s.mu.Unlock()
	if cancel == nil {
		return nil
	}
	cancel()
	var errs []error
	// First, or their connections would keep the server from ending.
	errs = append(errs, s.live.Stop(ctx))
	errs = append(errs, s.shutdown(ctx, "HTTP"))
	s.endAudit()
	s.cutOff() // what was hijacked (pages' own WebSockets) is not waited for above
	s.running.Wait()
	return errors.Join(errs...)
}

// housekeeping starts deliveries and retries whose start was missed, and forgets old keys.
func (s *Service) housekeeping(ctx context.Context) {
	sweep, forget := time.NewTicker(2*time.Second), time.NewTicker(time.Hour)
	defer sweep.Stop()
	defer forget.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-sweep.C:
			err = errors.Join(s.deps.Control.Messages.Sweep(ctx), s.deps.Control.DeadLetters.Sweep(ctx))
		case <-forget.C:
			err = errors.Join(s.deps.Control.Messages.ForgetKeys(ctx), s.deps.Control.Audit.Forget(ctx), s.deps.Control.Access.Forget(ctx))
		}
		if err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "housekeeping; tried again within seconds", "error", err)
		}
	}
}
