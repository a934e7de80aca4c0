package postgresd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// StopRunning ends a server that runs on this cluster without being our child:
// the orphan of a parent that was killed. It returns when the server, its
// backends included, is gone. Without one it does nothing.
func (c *Cluster) StopRunning(ctx context.Context) error {
	pid, err := c.PID()
	if err != nil || pid == 0 {
		return err
	}
	if !c.runs(pid) {
		return c.clearStale(ctx)
	}
	// Ever less polite: finish the transactions' clean-up and write a
	// checkpoint; leave at once and recover from the log at the next start.
	for _, step := range []struct {
		signal syscall.Signal
		wait   time.Duration
	}{{syscall.SIGINT, 10 * time.Second}, {syscall.SIGQUIT, 5 * time.Second}, {syscall.SIGKILL, 5 * time.Second}} {
		if err := syscall.Kill(pid, step.signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("stopping the Postgres that still runs on %s (pid %d): %w", c.Dir, pid, err)
		}
		gone, err := c.awaitGone(ctx, pid, step.wait)
		if gone || err != nil {
			return err
		}
	}
	return fmt.Errorf("the Postgres that still runs on %s (pid %d) does not stop", c.Dir, pid)
}

// clearStale removes the postmaster.pid of a server that is gone: its number may
// by now be that of another program of ours, and Postgres would refuse to start.
// The file is also how Postgres finds backends that outlived their postmaster,
// so they must be gone first.
func (c *Cluster) clearStale(ctx context.Context) error {
	if _, err := os.Stat("/proc/self/cwd"); err != nil {
		return nil // cannot look for backends here: leave the judgement to Postgres
	}
	ctx, cancel := context.WithTimeout(ctx, backendsEnd)
	defer cancel()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for c.hasProcesses() {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("processes of a Postgres that was killed still work on %s: %w", c.Dir, ctx.Err())
		}
	}
	if err := os.Remove(filepath.Join(c.dataDir(), "postmaster.pid")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("removing a stale postmaster.pid: %w", err)
	}
	return nil
}

// backendsEnd is how long backends get to notice that their postmaster died.
const backendsEnd = 10 * time.Second

// hasProcesses reports whether any Postgres process works in the data directory.
func (c *Cluster) hasProcesses() bool {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return false
	}
	for _, entry := range entries {
		if pid, err := strconv.Atoi(entry.Name()); err == nil && c.worksHere(pid) {
			return true
		}
	}
	return false
}

func (c *Cluster) awaitGone(ctx context.Context, pid int, wait time.Duration) (bool, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, wait, errWaited)
	defer cancel()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for c.runs(pid) {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			if errors.Is(context.Cause(ctx), errWaited) {
				return false, nil
			}
			return false, ctx.Err()
		}
	}
	return true, nil
}

var errWaited = errors.New("waited long enough")

// runs reports whether the process is this cluster's postmaster. A pid in a
// file proves little: after a reboot it may belong to any program, even to
// another cluster's Postgres.
func (c *Cluster) runs(pid int) bool {
	if err := syscall.Kill(pid, 0); err != nil && !errors.Is(err, syscall.EPERM) {
		return false
	}
	if _, err := os.Stat("/proc/self/cwd"); err != nil {
		return c.answersLocally() // no /proc here
	}
	return c.worksHere(pid)
}

// worksHere reports whether the process is a Postgres whose working directory
// is the data directory, as that of every Postgres process is.
func (c *Cluster) worksHere(pid int) bool {
	proc := filepath.Join("/proc", strconv.Itoa(pid))
	name, err := os.ReadFile(filepath.Join(proc, "comm"))
	if err != nil || !strings.HasPrefix(string(name), "postgres") {
		return false
	}
	cwd, err := os.Stat(filepath.Join(proc, "cwd"))
	if err != nil {
		return false
	}
	data, err := os.Stat(c.dataDir())
	return err == nil && os.SameFile(cwd, data)
}

// answersLocally reports whether somebody listens on the socket that lies in
// the cluster's own folder.
func (c *Cluster) answersLocally() bool {
	found, err := os.ReadDir(c.runDir())
	if err != nil {
		return false
	}
	for _, entry := range found {
		name := entry.Name()
		if strings.HasPrefix(name, ".s.PGSQL.") && !strings.HasSuffix(name, ".lock") &&
			dialUnix(context.Background(), filepath.Join(c.runDir(), name)) == nil {
			return true
		}
	}
	return false
}
