package testkit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/omnihub/omni/internal/embedded/postgresd"
)

// How test processes share one server, through files in one folder:
//
//	start.lock  held while looking for the server or starting it
//	users.lock  held shared by every process that uses the server, as long as
//	            it lives; the reaper stops the server when it gets it alone
//	server.json where the server is; written when it is ready
//
// Locks are flock(2): the kernel drops them with the process, however it ends.

// sharedCluster is the server as its users see it.
type sharedCluster struct {
	cluster postgresd.Cluster
}

func (s *sharedCluster) url(database string) string {
	url, err := s.cluster.URL(database)
	if err != nil {
		panic(err) // the password file is read only for long paths; root() is short
	}
	return url
}

var (
	sharedMutex  sync.Mutex
	sharedServer *sharedCluster
	usersLock    *os.File // open for the life of the process
)

// shared returns the running server, starting it if there is none.
func shared(ctx context.Context) (*sharedCluster, error) {
	sharedMutex.Lock()
	defer sharedMutex.Unlock()
	if sharedServer != nil && answers(ctx, sharedServer) {
		return sharedServer, nil
	}
	dir := root()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if usersLock == nil {
		file, err := lock(filepath.Join(dir, "users.lock"), syscall.LOCK_SH)
		if err != nil {
			return nil, err
		}
		usersLock = file
	}
	starting, err := lock(filepath.Join(dir, "start.lock"), syscall.LOCK_EX)
	if err != nil {
		return nil, err
	}
	defer func() { _ = starting.Close() }()
	if found := running(ctx, dir); found != nil {
		sharedServer = found
		return found, nil
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("waiting for the one that runs: %w", ctx.Err())
	}
	if err := startReaper(dir); err != nil {
		return nil, err
	}
	found, err := await(ctx, dir)
	if err != nil {
		return nil, err
	}
	sharedServer = found
	return found, nil
}

// root is one folder per user, short enough for a Unix socket's path.
func root() string {
	return filepath.Join(os.TempDir(), fmt.Sprintf("omni-testkit-%d", os.Getuid()))
}

func lock(path string, how int) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.Flock(int(file.Fd()), how)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	return file, nil
}

// running returns the server that server.json names, if it answers.
func running(ctx context.Context, dir string) *sharedCluster {
	content, err := os.ReadFile(filepath.Join(dir, "server.json"))
	if err != nil {
		return nil
	}
	found := &sharedCluster{}
	if json.Unmarshal(content, &found.cluster) != nil || !answers(ctx, found) {
		return nil
	}
	return found
}

// answers waits for an answer as long as there is somebody: a server that is
// slow on a busy machine is not one to put another in the place of.
func answers(ctx context.Context, server *sharedCluster) bool {
	for {
		err := ping(ctx, server)
		if err == nil {
			return true
		}
		if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, fs.ErrNotExist) {
			return false
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func ping(ctx context.Context, server *sharedCluster) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, server.url("postgres"))
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}

// startReaper runs this very program once more, as the reaper: see reaper.go.
func startReaper(dir string) error {
	for _, stale := range []string{"server.json", "failed"} {
		if err := os.Remove(filepath.Join(dir, stale)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(dir, "reaper.log"))
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), reaperVariable+"="+dir)
	// Not the test's own output: `go test` waits until that is closed.
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	return cmd.Process.Release()
}

func await(ctx context.Context, dir string) (*sharedCluster, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		if found := running(ctx, dir); found != nil {
			return found, nil
		}
		select {
		case <-ctx.Done():
			log, _ := os.ReadFile(filepath.Join(dir, "reaper.log"))
			return nil, fmt.Errorf("it did not start within a minute; its log: %s", log)
		case <-ticker.C:
		}
		// A reaper that cannot start the server says so at once.
		if failure, err := os.ReadFile(filepath.Join(dir, "failed")); err == nil {
			_ = os.Remove(filepath.Join(dir, "failed"))
			return nil, errors.New(string(failure))
		}
	}
}
