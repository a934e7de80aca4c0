//go:build !slim

package embedded_test

import (
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/omnihub/omni/internal/config"
	"github.com/omnihub/omni/internal/durable"
	"github.com/omnihub/omni/internal/embedded"
	"github.com/omnihub/omni/internal/testkit"
	"github.com/omnihub/omni/workflows"
)

func testConfig(t *testing.T, environ ...string) *config.Config {
	t.Helper()
	cfg, err := config.Load(append([]string{
		"OMNI_DATA_DIR=" + filepath.Join(t.TempDir(), "data"),
	}, environ...), filepath.Join(t.TempDir(), ".env"))
	require.NoError(t, err)
	if cfg.TemporalUIPort == 8233 {
		cfg.TemporalUIPort = 0
	}
	return cfg
}

func testLog() *slog.Logger {
	if os.Getenv("TEST_LOG") == "" {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func TestStackKeepsWorkflowsOverRestarts(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	cfg := testConfig(t)
	for round := range 2 {
		began := time.Now()
		stack, err := embedded.Start(ctx, cfg, testLog())
		require.NoError(t, err)
		t.Logf("round %d: ready in %s: %v", round, time.Since(began), stack.Took)
		for _, check := range stack.Checks() {
			require.NoError(t, check.Check(ctx), check.Name)
		}
		c, err := client.Dial(client.Options{HostPort: stack.TemporalAddress, Namespace: cfg.TemporalNamespace})
		require.NoError(t, err)
		began = time.Now()
		require.NoError(t, durable.EnsureNamespace(ctx, c, cfg.TemporalNamespace))
		t.Logf("round %d: namespace in %s", round, time.Since(began))
		began = time.Now()
		runHello(t, ctx, c)
		t.Logf("round %d: workflow in %s", round, time.Since(began))
		c.Close()
		began = time.Now()
		require.NoError(t, stack.Stop(ctx))
		t.Logf("round %d: stopped in %s", round, time.Since(began))
	}
}

func runHello(t *testing.T, ctx context.Context, c client.Client) {
	t.Helper()
	w := worker.New(c, "q", worker.Options{})
	w.RegisterWorkflowWithOptions(func(workflow.Context) (string, error) { return "hello", nil }, workflow.RegisterOptions{Name: "Hello"})
	require.NoError(t, w.Start())
	defer w.Stop()
	run, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		TaskQueue: "q", EnableEagerStart: true,
	}, "Hello")
	require.NoError(t, err)
	var said string
	require.NoError(t, run.Get(ctx, &said))
	require.Equal(t, "hello", said)
	_, err = c.WorkflowService().CountWorkflowExecutions(ctx, &workflowservice.CountWorkflowExecutionsRequest{
		Namespace: "default", Query: workflows.AttrChat.GetName() + " = 'x'",
	})
	require.NoError(t, err)
}

func TestUnreachableDatabaseIsOneLine(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t, "DATABASE_URL=postgres://u:hunter2@127.0.0.1:1/x")
	_, err := embedded.Start(context.Background(), cfg, testLog())
	require.ErrorContains(t, err, "DATABASE_URL")
	require.ErrorContains(t, err, "127.0.0.1:1")
	require.NotContains(t, err.Error(), "\n")
	require.NotContains(t, err.Error(), "hunter2")
}

func TestSecondHubOnTheSameFolderIsRefused(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	// With every part outside, only the folder is taken.
	cfg := testConfig(t, "DATABASE_URL="+testkit.EmptyPostgres(t), "NATS_URL="+testkit.NATSServer(t).ClientURL(), "TEMPORAL_ADDRESS=127.0.0.1:1")
	first, err := embedded.Start(ctx, cfg, testLog())
	require.NoError(t, err)
	require.Empty(t, first.Checks())
	_, err = embedded.Start(ctx, cfg, testLog())
	require.ErrorContains(t, err, "OMNI_DATA_DIR "+cfg.DataDir+" is in use by another omni")
	require.NotContains(t, err.Error(), "\n")
	require.NoError(t, first.Stop(ctx))
	again, err := embedded.Start(ctx, cfg, testLog())
	require.NoError(t, err)
	require.NoError(t, again.Stop(ctx))
}

func TestFolderThatCannotBeMadeIsNamed(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	cfg := testConfig(t)
	cfg.DataDir = filepath.Join(file, "data")
	_, err := embedded.Start(context.Background(), cfg, testLog())
	require.ErrorContains(t, err, "OMNI_DATA_DIR "+cfg.DataDir+" cannot be made: not a directory")
}

func TestPortInUseIsNamedWithItsVariable(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	_, port, err := net.SplitHostPort(listener.Addr().String())
	require.NoError(t, err)
	for _, variable := range []string{"OMNI_NATS_PORT", "OMNI_TEMPORAL_PORT", "OMNI_TEMPORAL_UI_PORT"} {
		_, err := embedded.Start(context.Background(), testConfig(t, variable+"="+port), testLog())
		require.ErrorContains(t, err, variable+": port "+port)
		require.NotContains(t, err.Error(), "\n")
	}
}
