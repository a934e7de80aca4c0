package temporald

import (
	"context"
	"log/slog"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/internal/testkit"
)

// What is dropped can be made again, and then is what Temporal's own schema
// has: the next upgrade must not trip over us.
func TestIndexesAreDroppedAndRestored(t *testing.T) {
	t.Parallel()
	url := testkit.Postgres(t)
	cfg, err := pgx.ParseConfig(url)
	require.NoError(t, err)
	options := Options{DatabaseURL: url, Database: cfg.Database + "_temporal", Log: slog.New(slog.DiscardHandler)}
	t.Cleanup(func() { dropDatabases(t, options) })
	log := logger{log: options.Log}
	require.NoError(t, prepareSchema(t.Context(), options, log))
	require.ElementsMatch(t, keptIndexes, indexes(t, options), "each of the kept ones exists, and no other")

	require.NoError(t, restoreIndexes(t.Context(), options))
	all := indexes(t, options)
	require.Greater(t, len(all), 60)
	require.NoError(t, prepareSchema(t.Context(), options, log), "a second start")
	require.ElementsMatch(t, keptIndexes, indexes(t, options))
	require.NoError(t, prepareSchema(t.Context(), options, log), "a third start")
	require.NoError(t, restoreIndexes(t.Context(), options))
	require.ElementsMatch(t, all, indexes(t, options), "all of them again")
}

func indexes(t *testing.T, options Options) (names []string) {
	t.Helper()
	require.NoError(t, withVisibility(t.Context(), options, func(tx pgx.Tx) error {
		rows, err := tx.Query(t.Context(), `SELECT indexname::text FROM pg_indexes WHERE tablename = 'executions_visibility'`)
		if err != nil {
			return err
		}
		names, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	}))
	return names
}

func dropDatabases(t *testing.T, options Options) {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), options.DatabaseURL)
	require.NoError(t, err)
	defer func() { _ = conn.Close(context.Background()) }()
	main, visibility := options.databases()
	for _, name := range []string{main.name, visibility.name} {
		_, err := conn.Exec(context.Background(), "DROP DATABASE IF EXISTS "+pgx.Identifier{name}.Sanitize())
		require.NoError(t, err)
	}
}
