package postgresd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/omnihub/omni/internal/embedded/freeport"
)

const (
	pingEvery    = 10 * time.Millisecond
	pingTimeout  = 3 * time.Second
	maxBackoff   = 2 * time.Second
	steadyAfter  = 10 * time.Second // a child that lived so long may be restarted at once
	logSizeLimit = 10 << 20
)

// Settings are Omni's and Temporal's: many small durable transactions, few
// rows each, on a machine that has other work too.
var Settings = map[string]string{
	// The four services of Temporal take up to 88 connections and each hub about
	// 20; several hubs may share the server, and those of a killed one linger.
	"shared_buffers": "256MB", "effective_cache_size": "1GB", "max_connections": "400",
	// Never weaker: what was acknowledged is on disk.
	"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on",
	// One server without replicas; kept segments are cheaper than new ones.
	// The limit also bounds how long recovery takes after a crash.
	"wal_level": "minimal", "max_wal_senders": "0", "wal_buffers": "16MB",
	"min_wal_size": "256MB", "max_wal_size": "1GB", "checkpoint_completion_target": "0.9",
	// Queries are short: planning for parallel workers or compiling costs more than it brings.
	"jit": "off", "max_parallel_workers_per_gather": "0", "random_page_cost": "1.1",
	// Temporal updates and deletes all the time.
	"autovacuum_naptime": "20s", "autovacuum_vacuum_scale_factor": "0.1", "autovacuum_vacuum_cost_limit": "1000",
	"timezone": "UTC", "log_timezone": "UTC", "log_checkpoints": "off", "log_min_messages": "warning",
}

// Options configure a Server.
type Options struct {
	Dir      string            // everything lies below; made if it is not there
	Port     int               // on loopback; 0 takes a free one
	Settings map[string]string // over those of Settings
	Log      *slog.Logger
}

// Server is a supervised Postgres: if the child dies, it is started again at
// once, on the same port and socket. It implements lifecycle.Service.
type Server struct {
	options Options
	cluster Cluster

	mutex    sync.Mutex
	child    *exec.Cmd     // nil while none runs
	down     error         // why it is not ready; nil while it is
	stopping chan struct{} // closed by Stop
	done     chan struct{} // closed when the supervisor has ended
}

// New returns a server that has not started.
func New(options Options) *Server {
	return &Server{options: options, down: errors.New("not started")}
}

// URL is the connection URL of one database. Valid once Start has returned.
func (s *Server) URL(database string) (string, error) { return s.cluster.URL(database) }

// Cluster tells where the server is. Valid once Start has returned.
func (s *Server) Cluster() *Cluster { return &s.cluster }

// Start makes the cluster if needed, ends what an earlier parent left running,
// and returns when the server answers.
func (s *Server) Start(ctx context.Context) error {
	if err := s.prepare(ctx); err != nil {
		return err
	}
	s.mutex.Lock()
	s.stopping, s.done = make(chan struct{}), make(chan struct{})
	s.mutex.Unlock()
	first := make(chan error, 1)
	go s.supervise(first)
	select {
	case err := <-first:
		if err != nil {
			return errors.Join(err, s.Stop(ctx))
		}
		return nil
	case <-ctx.Done():
		return errors.Join(fmt.Errorf("starting Postgres: %w", ctx.Err()), s.Stop(context.WithoutCancel(ctx)))
	}
}

func (s *Server) prepare(ctx context.Context) error {
	owner, err := FindOwner()
	if err != nil {
		return err
	}
	s.cluster = Cluster{Dir: s.options.Dir, Port: s.options.Port, Owner: owner}
	if s.cluster.Bin, err = Binaries(ctx, s.cluster.Major(), owner, s.options.Log); err != nil {
		return err
	}
	if err := s.cluster.StopRunning(ctx); err != nil {
		return err
	}
	if err := s.cluster.Init(ctx); err != nil {
		return err
	}
	if s.cluster.Port == 0 { // last: it is free now
		ports, err := freeport.Choose(ctx, 1)
		if err != nil {
			return err
		}
		s.cluster.Port = ports[0]
	}
	return nil
}

// supervise runs children one after the other until Stop. It tells first how
// the first of them fared.
func (s *Server) supervise(first chan<- error) {
	defer close(s.done)
	// The kernel tells the child of the death of the thread that started it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for backoff := time.Duration(0); ; backoff = min(max(2*backoff, 50*time.Millisecond), maxBackoff) {
		select {
		case <-s.stopping:
			return
		case <-time.After(backoff):
		}
		began := time.Now()
		err := s.runOnce(first)
		first = nil
		select {
		case <-s.stopping:
			return
		default:
		}
		s.options.Log.Error("Postgres ended by itself, starting it again", "error", err)
		if time.Since(began) > steadyAfter {
			backoff = 0
		}
	}
}

// runOnce starts a child and returns why it ended. Sends on first, if given,
// whether the child got ready.
func (s *Server) runOnce(first chan<- error) error {
	report := func(err error) {
		if first != nil {
			first <- err
			first = nil
		}
	}
	cmd, err := s.spawn()
	if err != nil {
		s.setDown(nil, err)
		report(err)
		return err
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	ready := make(chan struct{})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		if s.awaitAnswer(ctx) == nil {
			close(ready)
		}
	}()
	for {
		select {
		case <-ready:
			ready = nil // once
			s.setDown(cmd, nil)
			report(nil)
		case err := <-exited:
			err = s.ended(err)
			s.setDown(nil, err)
			report(err)
			return err
		}
	}
}

// ended tells how a child ended, and what it said last.
func (s *Server) ended(err error) error {
	if err == nil {
		return fmt.Errorf("postgres ended: %s", s.lastLogLine())
	}
	return fmt.Errorf("postgres ended (%w): %s", err, s.lastLogLine())
}

// spawn starts a child, and remembers it for Stop.
func (s *Server) spawn() (*exec.Cmd, error) {
	settings := maps.Clone(Settings)
	settings["wal_compression"] = s.cluster.FirstOf(context.Background(), "wal_compression", "lz4", "on")
	maps.Copy(settings, s.options.Settings)
	cmd, done, err := s.cluster.Server(context.Background(), settings)
	if err != nil {
		return nil, err
	}
	defer done()
	log, err := s.openLog()
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	cmd.Stdout, cmd.Stderr = log, log
	s.mutex.Lock()
	defer s.mutex.Unlock()
	select {
	case <-s.stopping:
		return nil, errors.New("stopped")
	default:
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("running postgres: %w", err)
	}
	s.child = cmd
	return cmd, nil
}

func (s *Server) setDown(child *exec.Cmd, why error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.child, s.down = child, why
}

func (s *Server) awaitAnswer(ctx context.Context) error {
	ticker := time.NewTicker(pingEvery)
	defer ticker.Stop()
	for {
		if s.ping(ctx) == nil {
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *Server) ping(ctx context.Context) error {
	url, err := s.cluster.URL("postgres")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return fmt.Errorf("reaching Postgres: %w", err)
	}
	return conn.Close(ctx)
}

// Healthy says why the server is down, or nil.
func (s *Server) Healthy(context.Context) error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.down
}

// PID is the child's process id; 0 while none runs.
func (s *Server) PID() int {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.child == nil {
		return 0
	}
	return s.child.Process.Pid
}

// Stop shuts the server down: open transactions are rolled back, a checkpoint
// is written. When ctx is over it leaves at once, to recover at the next start.
func (s *Server) Stop(ctx context.Context) error {
	s.mutex.Lock()
	if s.stopping == nil {
		s.mutex.Unlock()
		return nil
	}
	select {
	case <-s.stopping:
	default:
		close(s.stopping)
		s.signal(syscall.SIGINT)
	}
	s.down = errors.New("stopped")
	done := s.done
	s.mutex.Unlock()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	s.mutex.Lock()
	s.signal(syscall.SIGQUIT)
	s.mutex.Unlock()
	<-done
	return fmt.Errorf("stopping Postgres in time: %w", ctx.Err())
}

// signal must be called with the mutex held.
func (s *Server) signal(signal syscall.Signal) {
	if s.child != nil {
		_ = s.child.Process.Signal(signal)
	}
}

func (s *Server) logPath() string { return filepath.Join(s.options.Dir, "postgres.log") }

// openLog appends, after setting an overgrown log aside.
func (s *Server) openLog() (*os.File, error) {
	if info, err := os.Stat(s.logPath()); err == nil && info.Size() > logSizeLimit {
		if err := os.Rename(s.logPath(), s.logPath()+".1"); err != nil {
			return nil, fmt.Errorf("setting the Postgres log aside: %w", err)
		}
	}
	log, err := os.OpenFile(s.logPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the Postgres log: %w", err)
	}
	return log, nil
}

// lastLogLine is why Postgres ended, as far as it said.
func (s *Server) lastLogLine() string {
	content, err := os.ReadFile(s.logPath())
	if err != nil {
		return "no log"
	}
	lines := strings.Split(strings.TrimSpace(string(content)), "\n")
	for _, line := range slices.Backward(lines[max(0, len(lines)-20):]) {
		if _, reason, found := strings.Cut(line, "FATAL: "); found {
			return strings.TrimSpace(reason)
		}
	}
	return strings.TrimSpace(lines[len(lines)-1])
}
