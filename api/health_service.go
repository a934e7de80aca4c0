package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/omnihub/omni/internal/control"
)

// HealthService answers /healthz, /readyz and /metrics in a process that has
// no API (lifecycle.Service).
type HealthService struct {
	listening

	addr string
	log  *slog.Logger
	done chan struct{} // nil before Start; guarded by mu
}

// NewHealth makes the service without listening yet. addr is host:port;
// metrics may be nil.
func NewHealth(addr string, health *control.Health, metrics http.Handler, log *slog.Logger) *HealthService {
	gin.SetMode(gin.ReleaseMode)
	e := gin.New()
	e.Use(recovered(log), secured)
	mountHealth(e, health, metrics)
	server := &http.Server{Handler: e, ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
	return &HealthService{listening: listening{server: server}, addr: addr, log: log}
}

// Start listens, and returns once requests are answered.
func (s *HealthService) Start(ctx context.Context) error {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", s.addr)
	if err != nil {
		return fmt.Errorf("OMNI_HEALTH_PORT: cannot listen on %s: %w", s.addr, err)
	}
	done := make(chan struct{})
	s.mu.Lock()
	s.listener, s.done = l, done
	s.mu.Unlock()
	go func() {
		defer close(done)
		if err := s.server.Serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) {
			s.log.Error("the health server ended", "error", err)
		}
	}()
	return nil
}

// Stop waits for requests under way until ctx is done; then it cuts them off.
func (s *HealthService) Stop(ctx context.Context) error {
	s.mu.Lock()
	done := s.done
	s.mu.Unlock()
	if done == nil {
		return nil
	}
	err := s.shutdown(ctx, "health")
	<-done
	return err
}
