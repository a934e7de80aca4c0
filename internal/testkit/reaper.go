package testkit

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/omnihub/omni/internal/embedded/postgresd"
)

// reaperVariable makes a test binary the reaper: the process that runs the
// shared Postgres as its child and ends when nobody has used it for a while.
const reaperVariable = "OMNITESTKIT_REAPER"

// idleFor is how long the server outlives its last user: longer than the gap
// between two packages of one `go test ./...`.
const idleFor = 30 * time.Second

// init, because it must come before the test binary's main and its flags.
func init() {
	dir := os.Getenv(reaperVariable)
	if dir == "" {
		return
	}
	// The kernel ends Postgres with the thread that started it; init runs on
	// the main one, which lives as long as the process.
	runtime.LockOSThread()
	if err := reap(dir); err != nil {
		_ = os.WriteFile(filepath.Join(dir, "failed"), []byte(err.Error()), 0o600)
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func reap(dir string) error {
	cluster, cmd, err := startServer(dir)
	if err != nil {
		return err
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	content, err := json.Marshal(cluster)
	if err != nil {
		return err
	}
	// Written whole or not at all: readers see it by polling.
	temporary := filepath.Join(dir, "server.json.new")
	if err := os.WriteFile(temporary, content, 0o600); err != nil {
		return err
	}
	if err := os.Rename(temporary, filepath.Join(dir, "server.json")); err != nil {
		return err
	}
	alone, err := awaitIdle(dir, exited)
	if err != nil {
		return err
	}
	defer func() { _ = alone.Close() }()
	// From here until we end, newcomers wait for users.lock.
	_ = os.Remove(filepath.Join(dir, "server.json"))
	_ = cmd.Process.Signal(syscall.SIGQUIT)
	<-exited
	return os.RemoveAll(cluster.Dir)
}

func startServer(dir string) (*postgresd.Cluster, *exec.Cmd, error) {
	ctx := context.Background()
	owner, err := postgresd.FindOwner()
	if err != nil {
		return nil, nil, err
	}
	bin, err := postgresd.Binaries(ctx, "", owner, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err != nil {
		return nil, nil, err
	}
	cluster := &postgresd.Cluster{Bin: bin, Dir: filepath.Join(dir, "pg"), Port: 5432, Owner: owner}
	if err := cluster.StopRunning(ctx); err != nil {
		return nil, nil, err
	}
	if err := os.RemoveAll(cluster.Dir); err != nil {
		return nil, nil, err
	}
	if err := cluster.Init(ctx, "--no-sync"); err != nil {
		return nil, nil, err
	}
	cmd, done, err := cluster.Server(ctx, map[string]string{
		"listen_addresses": "", // the socket is enough, and no port is taken
		"fsync":            "off", "synchronous_commit": "off", "full_page_writes": "off",
		"autovacuum": "off", "max_connections": "400", "shared_buffers": "128MB",
		"max_wal_size": "4GB", "wal_level": "minimal", "max_wal_senders": "0", "jit": "off",
	})
	if err != nil {
		return nil, nil, err
	}
	defer done()
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	return cluster, cmd, nil
}

// awaitIdle returns holding users.lock alone, once nobody else has held it for
// idleFor; or with the error of a server that ended by itself.
func awaitIdle(dir string, exited <-chan error) (*os.File, error) {
	ticker := time.NewTicker(2 * time.Second)
	defer ticker.Stop()
	idleSince := time.Now()
	for {
		select {
		case err := <-exited:
			return nil, fmt.Errorf("the tests' Postgres ended by itself: %w", err)
		case <-ticker.C:
		}
		alone, err := lock(filepath.Join(dir, "users.lock"), syscall.LOCK_EX|syscall.LOCK_NB)
		if err != nil {
			idleSince = time.Now()
			continue
		}
		if time.Since(idleSince) >= idleFor {
			return alone, nil
		}
		_ = alone.Close()
	}
}
