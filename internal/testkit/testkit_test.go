package testkit_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/internal/testkit"
)

func TestPostgresIsMigratedAndFresh(t *testing.T) {
	t.Parallel()
	for range 4 {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			ctx := context.Background()
			conn, err := pgx.Connect(ctx, testkit.Postgres(t))
			require.NoError(t, err)
			t.Cleanup(func() { _ = conn.Close(ctx) })
			_, err = conn.Exec(ctx, "INSERT INTO ingest_floor VALUES ('CHANNEL', 7)")
			require.NoError(t, err, "every test has its own, empty table")
		})
	}
}

func TestEmptyPostgres(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, testkit.EmptyPostgres(t))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(ctx) })
	var tables int
	require.NoError(t, conn.QueryRow(ctx, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").Scan(&tables))
	require.Zero(t, tables)
}

func TestNATSHasJetStreamOfItsOwn(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for range 2 {
		js, err := jetstream.New(testkit.NATS(t))
		require.NoError(t, err)
		stream, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}})
		require.NoError(t, err)
		_, err = js.Publish(ctx, "s.x", []byte("1"))
		require.NoError(t, err)
		info, err := stream.Info(ctx)
		require.NoError(t, err)
		require.EqualValues(t, 1, info.State.Msgs)
	}
}
