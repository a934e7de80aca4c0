package api

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
)

// listening is what the servers of a process share: where they listen, and how
// they end.
type listening struct {
	server *http.Server

	mu       sync.Mutex
	listener net.Listener // nil before Start
}

// Addr is where the server listens, "" before Start.
func (s *listening) Addr() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener == nil {
		return ""
	}
	return s.listener.Addr().String()
}

// shutdown waits for requests under way until ctx is done; then it cuts them
// off. name is the server's in errors.
func (s *listening) shutdown(ctx context.Context, name string) error {
	if err := s.server.Shutdown(ctx); err != nil {
		return errors.Join(fmt.Errorf("ending the %s server: %w", name, err), s.server.Close())
	}
	return nil
}
