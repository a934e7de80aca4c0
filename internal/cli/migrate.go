package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/omnihub/omni/internal/config"
	"github.com/omnihub/omni/internal/durable"
	"github.com/omnihub/omni/internal/store"
)

func newMigrateCommand(env Env) *cobra.Command {
	cmd := &cobra.Command{
		Use: "migrate", Short: "Care for the schema of an external stack",
		Long: "omni up keeps its own schema current. With an external Postgres and Temporal,\n" +
			"run omni migrate up before omni serve.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newMigrateUpCommand(env), newMigrateStatusCommand(env))
	return cmd
}

var errNoDatabaseURL = errors.New("DATABASE_URL is not set: it names the Postgres to migrate")

func newMigrateUpCommand(env Env) *cobra.Command {
	return &cobra.Command{
		Use: "up", Short: "Bring the schema up to date, and Temporal's namespace where TEMPORAL_ADDRESS is set",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := env.loadConfig()
			if err != nil {
				return err
			}
			if cfg.DatabaseURL == "" {
				return errNoDatabaseURL
			}
			applied, err := store.Migrate(cmd.Context(), cfg.DatabaseURL)
			if err != nil {
				return fmt.Errorf("DATABASE_URL: %w", err)
			}
			for _, path := range applied {
				cmd.Println("applied", path)
			}
			cmd.Println("the schema is up to date")
			if cfg.TemporalAddress == "" {
				return nil
			}
			if err := ensureNamespace(cmd.Context(), cfg); err != nil {
				return err
			}
			cmd.Printf("Temporal namespace %s is ready\n", cfg.TemporalNamespace)
			return nil
		},
	}
}

func ensureNamespace(ctx context.Context, cfg *config.Config) error {
	client, err := durable.Dial(ctx, durable.ClientConfig{
		Address: cfg.TemporalAddress, Namespace: cfg.TemporalNamespace, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return fmt.Errorf("TEMPORAL_ADDRESS: %w", err)
	}
	defer client.Close()
	return durable.EnsureNamespace(ctx, client, cfg.TemporalNamespace)
}

func newMigrateStatusCommand(env Env) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "status", Short: "List the migrations and whether each is applied", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := env.loadConfig()
			if err != nil {
				return err
			}
			if cfg.DatabaseURL == "" {
				return errNoDatabaseURL
			}
			list, err := store.MigrationStatus(cmd.Context(), cfg.DatabaseURL)
			if err != nil {
				return fmt.Errorf("DATABASE_URL: %w", err)
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(list)
			}
			table := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			for _, m := range list {
				state := "pending"
				if m.Applied {
					state = "applied " + m.AppliedAt.UTC().Format(time.RFC3339)
				}
				if _, err := fmt.Fprintf(table, "%s\t%s\n", m.Path, state); err != nil {
					return err
				}
			}
			return table.Flush()
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
