package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"github.com/omnihub/omni/internal/config"
	"github.com/omnihub/omni/internal/store"
	"github.com/omnihub/omni/workers"
)

// serveStop is how long omni serve takes at most to stop.
const serveStop = 14 * time.Second

func newServeCommand(env Env) *cobra.Command {
	var list string
	cmd := &cobra.Command{
		Use: "serve", Short: "Run some roles against an external Postgres, NATS and Temporal",
		Long: "Any number of processes may run any roles. DATABASE_URL, NATS_URL, TEMPORAL_ADDRESS and\n" +
			"OMNI_ENCRYPTION_KEY are required; run omni migrate up first.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			roles, err := workers.ParseRoles(list)
			if err != nil {
				return &usageError{err}
			}
			cfg, err := env.loadConfig()
			if err != nil {
				return err
			}
			return runServe(cmd.Context(), cfg, env, roles)
		},
	}
	all := make([]string, 0, len(workers.Roles()))
	for _, role := range slices.Backward(workers.Roles()) {
		all = append(all, string(role))
	}
	cmd.Flags().StringVar(&list, "roles", strings.Join(all, ","), "comma list of what this process does")
	return cmd
}

func runServe(ctx context.Context, cfg *config.Config, env Env, roles []workers.Role) error {
	if err := requireExternal(cfg); err != nil {
		return err
	}
	if slices.Contains(roles, workers.RoleAPI) {
		if err := probeAPIPort(ctx, cfg); err != nil {
			return err
		}
	}
	tel, err := setupTelemetry(ctx, cfg, env)
	if err != nil {
		return err
	}
	defer func() { _ = tel.Shutdown(context.WithoutCancel(ctx)) }()
	if err := requireSchema(ctx, cfg); err != nil {
		return err
	}
	a, err := startApp(ctx, appConfig{
		cfg: cfg, tel: tel, roles: roles, owner: uuid.NewString(),
		databaseURL: cfg.DatabaseURL, temporalAddress: cfg.TemporalAddress,
		connectNATS: func(options ...nats.Option) (*nats.Conn, error) { return nats.Connect(cfg.NATSURL, options...) },
	})
	if err != nil {
		return unlessInterrupted(ctx, err)
	}
	tel.Log.Info("serving", "roles", roles)
	<-ctx.Done()
	tel.Log.Info("stopping")
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), serveStop)
	defer cancel()
	return a.stop(limited)
}

func requireExternal(cfg *config.Config) error {
	var missing []string
	for _, variable := range []struct{ name, value string }{
		{"DATABASE_URL", cfg.DatabaseURL}, {"NATS_URL", cfg.NATSURL}, {"TEMPORAL_ADDRESS", cfg.TemporalAddress},
		{"OMNI_ENCRYPTION_KEY", cfg.EncryptionKey},
	} {
		if variable.value == "" {
			missing = append(missing, variable.name)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("omni serve needs %s (omni up brings its own stack)", strings.Join(missing, ", "))
	}
	return nil
}

// requireSchema refuses to work on tables that this binary does not know.
func requireSchema(ctx context.Context, cfg *config.Config) error {
	list, err := store.MigrationStatus(ctx, cfg.DatabaseURL)
	if err != nil {
		return fmt.Errorf("DATABASE_URL: %w", err)
	}
	for _, m := range list {
		if !m.Applied {
			return errors.New("DATABASE_URL: the schema is not up to date: run omni migrate up")
		}
	}
	return nil
}
