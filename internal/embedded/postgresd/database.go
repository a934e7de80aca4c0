package postgresd

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// EnsureDatabase makes a database unless it is there.
func (s *Server) EnsureDatabase(ctx context.Context, name string) error {
	url, err := s.cluster.URL("postgres")
	if err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return fmt.Errorf("reaching Postgres: %w", err)
	}
	defer func() { _ = conn.Close(ctx) }()
	var exists bool
	if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name).Scan(&exists); err != nil {
		return fmt.Errorf("looking for database %s: %w", name, err)
	}
	if exists {
		return nil
	}
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize()); err != nil {
		return fmt.Errorf("making database %s: %w", name, err)
	}
	return nil
}

// Checkpoint writes what is only in the log to the tables. It is an
// optimisation before Stop: errors are of no consequence.
func (s *Server) Checkpoint(ctx context.Context) {
	url, err := s.cluster.URL("postgres")
	if err != nil {
		return
	}
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return
	}
	defer func() { _ = conn.Close(ctx) }()
	_, _ = conn.Exec(ctx, "CHECKPOINT")
}
