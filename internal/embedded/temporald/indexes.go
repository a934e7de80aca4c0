package temporald

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Temporal's visibility table comes with some seventy indexes, one for each
// attribute that somebody might ask for, and each workflow is written to it
// twice. That is more than half of what a workflow costs Postgres. We keep the
// indexes that the UI's lists, schedules and Omni's own attributes (keywords)
// use; asking for something else still works, by looking at every row.

// keptIndexes of table executions_visibility.
var keptIndexes = []string{
	"executions_visibility_pkey", "default_idx", "by_execution_time", "by_workflow_id", "by_workflow_type", "by_status",
	"by_temporal_scheduled_by_id", "by_temporal_namespace_division",
	"by_keyword_01", "by_keyword_02", "by_keyword_03", "by_keyword_04", "by_keyword_05",
	"by_keyword_06", "by_keyword_07", "by_keyword_08", "by_keyword_09", "by_keyword_10",
}

// withVisibility runs fn in a transaction in the visibility database.
func withVisibility(ctx context.Context, options Options, fn func(pgx.Tx) error) error {
	cfg, err := pgx.ParseConfig(options.DatabaseURL)
	if err != nil {
		return fmt.Errorf("reading the database URL: %w", err)
	}
	_, visibility := options.databases()
	cfg.Database = visibility.name
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return fmt.Errorf("reaching database %s: %w", visibility.name, err)
	}
	defer func() { _ = conn.Close(ctx) }()
	return pgx.BeginFunc(ctx, conn, fn)
}

// dropIndexes drops what is not kept, and remembers how to make it again.
func dropIndexes(ctx context.Context, options Options) error {
	err := withVisibility(ctx, options, func(tx pgx.Tx) error {
		const remember = `CREATE TABLE IF NOT EXISTS omni_dropped_indexes (name text PRIMARY KEY, definition text NOT NULL)`
		if _, err := tx.Exec(ctx, remember); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `INSERT INTO omni_dropped_indexes
			SELECT indexname, indexdef FROM pg_indexes
			WHERE schemaname = current_schema() AND tablename = 'executions_visibility' AND indexname <> ALL($1)
			ON CONFLICT (name) DO UPDATE SET definition = excluded.definition
			RETURNING name`, keptIndexes)
		if err != nil {
			return err
		}
		names, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		for _, name := range names {
			if _, err := tx.Exec(ctx, "DROP INDEX "+pgx.Identifier{name}.Sanitize()); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("dropping indexes that nobody uses: %w", err)
	}
	return nil
}

// restoreIndexes makes the dropped ones again: Temporal's own steps from one
// version of the schema to the next expect to find them.
func restoreIndexes(ctx context.Context, options Options) error {
	err := withVisibility(ctx, options, func(tx pgx.Tx) error {
		var known bool
		if err := tx.QueryRow(ctx, `SELECT to_regclass('omni_dropped_indexes') IS NOT NULL`).Scan(&known); err != nil || !known {
			return err
		}
		rows, err := tx.Query(ctx, `DELETE FROM omni_dropped_indexes RETURNING definition`)
		if err != nil {
			return err
		}
		definitions, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		for _, definition := range definitions {
			if _, err := tx.Exec(ctx, definition); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("making dropped indexes again: %w", err)
	}
	return nil
}
