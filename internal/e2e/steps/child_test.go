package steps

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/worker"

	_ "github.com/omnihub/omni/channels/standard" // which channels the hub has
	"github.com/omnihub/omni/internal/cli"
	"github.com/omnihub/omni/internal/config"
	"github.com/omnihub/omni/internal/e2e/hubtest"
	"github.com/omnihub/omni/internal/telemetry"
)

// childVariable makes this test binary a hub: it holds the orders as JSON.
const childVariable = "E2E_HUB_CHILD"

// fault ends the process at the nth time that a moment comes.
type fault struct {
	moment
	Nth int `json:"nth"` // from 1
}

// orders are what a child is told beside its configuration.
type orders struct {
	Faults    []fault `json:"faults"`
	StickyOff bool    `json:"stickyOff"`
}

// runChild is a hub that dies as it is told.
func runChild() int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	var o orders
	if err := json.Unmarshal([]byte(os.Getenv(childVariable)), &o); err != nil {
		return failed(err)
	}
	if o.StickyOff {
		worker.SetStickyWorkflowCacheSize(0)
	}
	cfg, err := config.Load(os.Environ(), "")
	if err != nil {
		return failed(err)
	}
	tel, err := telemetry.Setup(ctx, telemetry.Options{LogOutput: os.Stderr})
	if err != nil {
		return failed(err)
	}
	hub, err := cli.StartHub(ctx, cfg, tel, hubOptions(killer(o.Faults)))
	if err != nil {
		return failed(err)
	}
	<-ctx.Done()
	if err := hub.Stop(ctx); err != nil {
		return failed(err)
	}
	return 0
}

func failed(err error) int {
	fmt.Fprintln(os.Stderr, "the hub under test:", err)
	return 1
}

// killer is a probe that ends the process where a fault says so.
func killer(faults []fault) probe {
	var mu sync.Mutex
	seen := make([]int, len(faults))
	return func(_ context.Context, m moment) {
		mu.Lock()
		defer mu.Unlock()
		for i, f := range faults {
			if !f.is(m) {
				continue
			}
			if seen[i]++; seen[i] == f.Nth {
				_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
				select {} // the signal is on its way
			}
		}
	}
}

// child is a hub in a process of its own.
type child struct {
	*site
	log  *os.File
	cmd  *exec.Cmd
	done chan error
}

func newChild(t *testing.T) *child {
	t.Helper()
	c := &child{site: newSite(t)}
	var err error
	c.log, err = os.Create(filepath.Join(c.dir, "hub.log"))
	require.NoError(t, err)
	t.Cleanup(c.cleanup)
	return c
}

// start runs the hub and waits until it is ready.
func (c *child) start(t *testing.T, o orders) {
	t.Helper()
	c.launch(t, o)
	c.waitReady(t)
}

func (c *child) launch(t *testing.T, o orders) {
	t.Helper()
	b, err := json.Marshal(o)
	require.NoError(t, err)
	c.cmd = exec.Command(os.Args[0])
	c.cmd.Dir = c.dir
	c.cmd.Env = append(append(os.Environ(), c.environ()...), childVariable+"="+string(b))
	c.cmd.Stdout, c.cmd.Stderr = c.log, c.log
	require.NoError(t, c.cmd.Start())
	c.done = make(chan error, 1)
	go func(cmd *exec.Cmd, done chan<- error) { done <- cmd.Wait() }(c.cmd, c.done)
}

func (c *child) waitReady(t *testing.T) {
	t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for !c.ready() {
		select {
		case err := <-c.done:
			c.cmd = nil
			t.Fatalf("the hub ended while starting: %v\n%s", err, c.tail())
		case <-time.After(20 * time.Millisecond):
			require.True(t, time.Now().Before(deadline), "the hub is not ready")
		}
	}
}

// dies waits until the hub has killed itself.
func (c *child) dies(t *testing.T, within time.Duration) {
	t.Helper()
	select {
	case <-c.done:
		status, ok := c.cmd.ProcessState.Sys().(syscall.WaitStatus)
		require.True(t, ok && status.Signaled() && status.Signal() == syscall.SIGKILL, "the hub ended otherwise: %v", c.cmd.ProcessState)
		c.cmd = nil
	case <-time.After(within):
		t.Fatalf("the hub has not come to the moment at which it dies\n%s", c.tail())
	}
}

func (c *child) stop() {
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-c.done:
	case <-time.After(15 * time.Second):
		c.t.Error("the hub did not stop within 15 s")
		_ = c.cmd.Process.Kill()
		<-c.done
	}
	c.cmd = nil
}

func (c *child) cleanup() {
	if c.cmd != nil {
		c.stop()
	}
	if c.t.Failed() {
		c.t.Logf("the hub's log:\n%s", c.tail())
	}
	_ = c.log.Close()
	hubtest.NoRaces(c.t, c.log.Name())
}

func (c *child) tail() string {
	b, _ := os.ReadFile(c.log.Name())
	const limit = 8000
	if len(b) > limit {
		b = b[len(b)-limit:]
	}
	return strings.TrimSpace(string(b))
}
