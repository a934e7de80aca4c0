package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	_ "github.com/jackc/pgx/v5/stdlib" // goose speaks database/sql

	"github.com/omnihub/omni/migrations"
)

// partitionsAhead is how many months of the log have their partition made in
// advance.
const partitionsAhead = 2

// Migration is one schema file and whether it is applied.
type Migration struct {
	Path      string    `json:"path"`
	Applied   bool      `json:"applied"`
	AppliedAt time.Time `json:"appliedAt,omitzero"`
}

// Migrate brings the schema up to date and makes the log's next partitions. It
// may be called by any number of processes at once. It returns the files applied.
func Migrate(ctx context.Context, url string) ([]string, error) {
	db, err := openSQL(ctx, url)
	if err != nil {
		return nil, err
	}
	defer func() { _ = db.Close() }()
	applied, err := migrations.Up(ctx, db)
	if err != nil {
		return applied, explainExtension(err)
	}
	if _, err := db.ExecContext(ctx, "SELECT events_ensure_partitions($1)", partitionsAhead); err != nil {
		return applied, fmt.Errorf("making partitions of the event log: %w", err)
	}
	return applied, nil
}

// MigrationStatus lists every migration this binary knows, in order.
func MigrationStatus(ctx context.Context, url string) ([]Migration, error) {
	db, err := openSQL(ctx, url)
	if err != nil {
		return nil, err
	}
	defer func() { _ = db.Close() }()
	statuses, err := migrations.Status(ctx, db)
	if err != nil {
		return nil, err
	}
	out := make([]Migration, 0, len(statuses))
	for _, status := range statuses {
		out = append(out, Migration{
			Path: status.Source.Path, Applied: !status.AppliedAt.IsZero(), AppliedAt: status.AppliedAt,
		})
	}
	return out, nil
}

// EnsurePartitions makes the log's partitions of this month and the next ones.
func (s *Store) EnsurePartitions(ctx context.Context) error {
	if _, err := s.pool.Exec(ctx, "SELECT events_ensure_partitions($1)", partitionsAhead); err != nil {
		return fmt.Errorf("making partitions of the event log: %w", err)
	}
	return nil
}

func openSQL(ctx context.Context, url string) (*sql.DB, error) {
	db, err := sql.Open("pgx", url)
	if err != nil {
		return nil, fmt.Errorf("reading DATABASE_URL: %w", err)
	}
	if err := db.PingContext(ctx); err != nil {
		_ = db.Close()
		return nil, fmt.Errorf("reaching Postgres: %w", err)
	}
	return db, nil
}

// explainExtension says in one line what to do where the extension that the
// schema needs cannot be created.
func explainExtension(err error) error {
	refused, ok := errors.AsType[*pgconn.PgError](err)
	if !ok || !strings.Contains(refused.Message, `extension "pg_trgm"`) {
		return err
	}
	if refused.Code == "42501" { // insufficient_privilege
		return errors.New("this role may not create the Postgres extension pg_trgm: let somebody who may run " +
			"CREATE EXTENSION pg_trgm in this database, once, and migrate again")
	}
	return fmt.Errorf("the Postgres extension pg_trgm cannot be created: install the contrib modules of this Postgres "+
		"(Debian, Ubuntu: postgresql-contrib) and migrate again: %s", refused.Message)
}
