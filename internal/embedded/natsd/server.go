package natsd

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/omnihub/omni/internal/embedded/freeport"
)

const (
	readyTimeout = 20 * time.Second
	// maxPayload lets a message carry the longest text we accept, with room
	// for its raw form.
	maxPayload = 8 << 20
	// maxMemory and maxStore bound JetStream; files are limited by the disk.
	maxMemory = 256 << 20
	maxStore  = 1 << 40
)

// Options configure a Server.
type Options struct {
	Dir  string // JetStream's files
	Port int    // on loopback, for every local program; 0 takes a free one, for those who know URL
	Log  *slog.Logger
}

// Server is an in-process NATS server. It implements lifecycle.Service.
type Server struct {
	options Options
	token   string // what clients must know; "" for nothing

	mutex  sync.Mutex
	server *server.Server // nil while stopped
}

// New returns a server that has not started.
//
// Loopback is shared by all users of a machine, and the bus carries what people
// write. So a port that nobody asked for is closed to whoever does not have the
// URL; one that was chosen is meant for other programs.
func New(options Options) *Server {
	s := &Server{options: options}
	if options.Port == 0 {
		s.token = rand.Text()
	}
	return s
}

// Start returns when clients can connect and JetStream has recovered its streams.
func (s *Server) Start(ctx context.Context) error {
	port := s.options.Port
	if port == 0 {
		ports, err := freeport.Choose(ctx, 1)
		if err != nil {
			return err
		}
		port = ports[0]
	}
	srv, err := server.NewServer(&server.Options{
		ServerName: "omni", Host: "127.0.0.1", Port: port, NoSigs: true, Authorization: s.token,
		JetStream: true, StoreDir: s.options.Dir, SyncAlways: true,
		JetStreamMaxMemory: maxMemory, JetStreamMaxStore: maxStore, MaxPayload: maxPayload,
	})
	if err != nil {
		return fmt.Errorf("making the NATS server: %w", err)
	}
	if s.options.Log != nil {
		srv.SetLoggerV2(logger{s.options.Log}, false, false, false)
	}
	srv.Start()
	if !srv.ReadyForConnections(readyTimeout) {
		srv.Shutdown()
		srv.WaitForShutdown()
		return fmt.Errorf("starting NATS: not ready after %s (is port %d free?)", readyTimeout, port)
	}
	if !srv.JetStreamEnabled() {
		srv.Shutdown()
		srv.WaitForShutdown()
		return fmt.Errorf("starting NATS: JetStream cannot use %s", s.options.Dir)
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.server = srv
	return nil
}

// Stop flushes JetStream and waits until every client is gone.
func (s *Server) Stop(context.Context) error {
	s.mutex.Lock()
	srv := s.server
	s.server = nil
	s.mutex.Unlock()
	if srv != nil {
		srv.Shutdown()
		srv.WaitForShutdown()
	}
	return nil
}

// URL is the address for clients outside of this process, with what they must
// know: not for logs. Empty while stopped.
func (s *Server) URL() string {
	srv := s.running()
	if srv == nil {
		return ""
	}
	u := url.URL{Scheme: "nats", Host: srv.Addr().String()}
	if s.token != "" {
		u.User = url.User(s.token)
	}
	return u.String()
}

// Connect returns a connection that does not touch the network.
func (s *Server) Connect(options ...nats.Option) (*nats.Conn, error) {
	srv := s.running()
	if srv == nil {
		return nil, errNotRunning
	}
	conn, err := nats.Connect("", append([]nats.Option{nats.InProcessServer(srv), nats.Token(s.token)}, options...)...)
	if err != nil {
		return nil, fmt.Errorf("connecting to the embedded NATS: %w", err)
	}
	return conn, nil
}

// Healthy says why the server is down, or nil.
func (s *Server) Healthy(context.Context) error {
	srv := s.running()
	switch {
	case srv == nil || !srv.Running():
		return errNotRunning
	case !srv.JetStreamEnabled():
		return errors.New("JetStream has disabled itself: see the log")
	}
	return nil
}

var errNotRunning = errors.New("the embedded NATS does not run")

func (s *Server) running() *server.Server {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.server
}
