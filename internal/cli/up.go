package cli

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"github.com/omnihub/omni/internal/config"
	"github.com/omnihub/omni/internal/durable"
	"github.com/omnihub/omni/internal/embedded"
	"github.com/omnihub/omni/internal/telemetry"
)

const (
	// stopLimit is how long omni up may take to stop, and appStop the roles'
	// share of it.
	stopLimit = 14 * time.Second
	appStop   = 6 * time.Second
	// gcPercent trades memory for speed: the embedded Temporal allocates much.
	gcPercent = 400
)

func newUpCommand(env Env) *cobra.Command {
	return &cobra.Command{
		Use: "up", Short: "Run the whole hub on this machine: Postgres, NATS, Temporal and its UI, API, all roles",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := env.loadConfig()
			if err != nil {
				return err
			}
			return runUp(cmd.Context(), cfg, env)
		},
	}
}

func runUp(ctx context.Context, cfg *config.Config, env Env) error {
	began := time.Now()
	tel, err := setupTelemetry(ctx, cfg, env)
	if err != nil {
		return err
	}
	defer func() { _ = tel.Shutdown(context.WithoutCancel(ctx)) }()
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	hub, err := StartHub(ctx, cfg, tel, HubOptions{})
	if err != nil {
		return unlessInterrupted(ctx, err)
	}
	hub.banner(env.Stdout, time.Since(began))
	tel.Log.Debug("ready", "took_ms", time.Since(began).Milliseconds())
	<-ctx.Done()
	tel.Log.Info("stopping")
	return hub.Stop(ctx)
}

// unlessInterrupted makes a start that was told to stop no failure.
func unlessInterrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil //nolint:nilerr // see above
	}
	return err
}

func prepareTemporal(ctx context.Context, cfg *config.Config, tel *telemetry.Telemetry, stack *embedded.Stack) error {
	client, err := durable.Dial(ctx, durable.ClientConfig{
		Address: stack.TemporalAddress, Namespace: cfg.TemporalNamespace, Log: sdkLog(tel.Log),
	})
	if err != nil {
		return fmt.Errorf("TEMPORAL_ADDRESS: %w", err)
	}
	defer client.Close()
	return durable.EnsureNamespace(ctx, client, cfg.TemporalNamespace)
}
