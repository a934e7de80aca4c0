package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"github.com/omnihub/omni/internal/config"
	"github.com/omnihub/omni/internal/control"
	"github.com/omnihub/omni/internal/durable"
	"github.com/omnihub/omni/internal/embedded"
	"github.com/omnihub/omni/internal/store"
	"github.com/omnihub/omni/internal/telemetry"
	"github.com/omnihub/omni/workers"
)

const (
	// appStop is the roles' share of the 15 s that stopping may take; the
	// stack has the rest.
	appStop   = 6 * time.Second
	stackStop = 8 * time.Second
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
	if err := probeAPIPort(cfg); err != nil {
		return err
	}
	tel, err := setupTelemetry(ctx, cfg, env)
	if err != nil {
		return err
	}
	defer func() { _ = tel.Shutdown(context.WithoutCancel(ctx)) }()
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	stack, err := embedded.Start(ctx, cfg, tel.Log)
	if err != nil {
		return unlessInterrupted(ctx, err)
	}
	hub, err := startHub(ctx, cfg, tel, stack)
	if err != nil {
		return unlessInterrupted(ctx, errors.Join(err, stopStack(ctx, stack)))
	}
	hub.banner(env.Stdout, time.Since(began))
	tel.Log.Debug("ready", "took_ms", time.Since(began).Milliseconds())
	<-ctx.Done()
	tel.Log.Info("stopping")
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), appStop)
	defer cancel()
	if err := hub.app.stop(limited); err != nil {
		// Nothing is lost: what was cut off goes on after the next start.
		tel.Log.Warn("not everything stopped in time", "error", err)
	}
	return stopStack(ctx, stack)
}

func stopStack(ctx context.Context, stack *embedded.Stack) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stackStop)
	defer cancel()
	return stack.Stop(ctx)
}

// unlessInterrupted makes a start that was told to stop no failure.
func unlessInterrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// hub is omni up, running.
type hub struct {
	cfg    *config.Config
	stack  *embedded.Stack
	app    *app
	newKey bool
}

func startHub(ctx context.Context, cfg *config.Config, tel *telemetry.Telemetry, stack *embedded.Stack) (*hub, error) {
	id, newKey, err := hubSecrets(cfg)
	if err != nil {
		return nil, err
	}
	if _, err := store.Migrate(ctx, stack.DatabaseURL); err != nil {
		return nil, fmt.Errorf("DATABASE_URL: %w", err)
	}
	if err := prepareTemporal(ctx, cfg, tel, stack); err != nil {
		return nil, err
	}
	checks := make([]control.Check, 0, len(stack.Checks()))
	for _, check := range stack.Checks() {
		checks = append(checks, control.Check{Name: check.Name, Func: check.Check})
	}
	a, err := startApp(ctx, appConfig{
		cfg: cfg, tel: tel, roles: workers.Roles(), owner: id, checks: checks,
		databaseURL: stack.DatabaseURL, temporalAddress: stack.TemporalAddress, temporalUI: stack.UIURL,
		connectNATS: stack.ConnectNATS,
	})
	if err != nil {
		return nil, err
	}
	return &hub{cfg: cfg, stack: stack, app: a, newKey: newKey}, nil
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
