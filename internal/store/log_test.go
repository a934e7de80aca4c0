package store_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/store"
	"github.com/omnihub/omni/internal/testkit"
)

func openStore(t *testing.T) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), testkit.Postgres(t), 0)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s
}

const insertEvent = `INSERT INTO events (id, tenant_id, type, instance_id, channel, data) VALUES ($1, 'default', 'message.received', $2, 'custom', '{}')`

// Writers hold their transactions open for random times, so that they commit
// in another order than they began, while a reader follows the log.
func TestReadersOfTheLogMissNothingWhileTransactionsCommitOutOfOrder(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	const writers, transactions = 6, 25
	var mu sync.Mutex
	written := map[uuid.UUID]bool{}
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range transactions {
				ids, err := writeEvents(t.Context(), s, 1+i%3, (i+w)%7 != 0)
				if !errorFree(t, err) {
					return
				}
				mu.Lock()
				for _, id := range ids {
					written[id] = true
				}
				mu.Unlock()
			}
		})
	}
	finished := make(chan struct{})
	go func() { wg.Wait(); close(finished) }()

	seen := map[uuid.UUID]bool{}
	var at omni.Position
	for done := false; ; {
		select {
		case <-finished:
			done = true
		default:
		}
		events, err := s.EventsAfter(t.Context(), "", at, 7)
		require.NoError(t, err)
		for _, e := range events {
			require.True(t, at.Less(e.Position), "positions grow: %s after %s", e.Position, at)
			require.False(t, seen[e.ID], "no event twice")
			seen[e.ID], at = true, e.Position
		}
		if done && len(events) == 0 && len(seen) == len(written) {
			break
		}
		if done && len(events) == 0 {
			// Nothing runs here any more; another database's transaction may still hold the log back.
			require.NoError(t, waitForQuiet(t.Context(), s))
		}
	}
	require.Equal(t, written, seen)
	head, err := s.LogHead(t.Context())
	require.NoError(t, err)
	require.Equal(t, at, head)
}

// writeEvents appends n events in one transaction and commits, or rolls back.
func writeEvents(ctx context.Context, s *store.Store, n int, commit bool) ([]uuid.UUID, error) {
	tx, err := s.Pool().Begin(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = tx.Rollback(ctx) }()
	var ids []uuid.UUID
	for range n {
		id := uuid.New()
		if _, err := tx.Exec(ctx, insertEvent, id, uuid.New()); err != nil {
			return nil, err
		}
		ids = append(ids, id)
		if _, err := tx.Exec(ctx, "SELECT pg_sleep($1)", rand.Float64()*0.01); err != nil {
			return nil, err
		}
	}
	if !commit {
		return nil, nil
	}
	return ids, tx.Commit(ctx)
}

// waitForQuiet returns when every transaction that runs now has ended.
func waitForQuiet(ctx context.Context, s *store.Store) error {
	_, err := s.Pool().Exec(ctx, "SELECT pg_sleep(0.01)")
	return err
}

func errorFree(t *testing.T, err error) bool {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
	return err == nil
}

func TestTheLogHoldsBackWhatAnOlderTransactionMayStillPrecede(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	ctx := t.Context()
	older, err := s.Pool().Begin(ctx)
	require.NoError(t, err)
	defer func() { _ = older.Rollback(context.WithoutCancel(ctx)) }()
	first := uuid.New()
	_, err = older.Exec(ctx, insertEvent, first, uuid.New())
	require.NoError(t, err)
	second := uuid.New()
	_, err = s.Pool().Exec(ctx, insertEvent, second, uuid.New())
	require.NoError(t, err)

	events, err := s.EventsAfter(ctx, "", omni.Position{}, 10)
	require.NoError(t, err)
	require.Empty(t, events, "the second is committed, but the first would come before it")
	require.NoError(t, older.Commit(ctx))

	require.Eventually(t, func() bool {
		events, err = s.EventsAfter(ctx, "", omni.Position{}, 10)
		return err == nil && len(events) == 2
	}, 10*time.Second, 20*time.Millisecond)
	require.Equal(t, []uuid.UUID{first, second}, []uuid.UUID{events[0].ID, events[1].ID})
}

func TestEventsAfterKeepsTenantsApart(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	for i := range 4 {
		require.NoError(t, s.AppendEvent(t.Context(), store.NewEvent{TenantID: fmt.Sprintf("t%d", i%2), Type: omni.EventMessageReceived,
			InstanceID: uuid.New(), Channel: "custom", Data: map[string]int{"i": i}}))
	}
	require.Eventually(t, func() bool {
		events, err := s.EventsAfter(t.Context(), "t1", omni.Position{}, 10)
		return err == nil && len(events) == 2 && events[0].TenantID == "t1"
	}, 10*time.Second, 20*time.Millisecond)
}

func TestRelayCursorNeverMovesBack(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	for _, p := range []omni.Position{{Xid: 9, Seq: 5}, {Xid: 10, Seq: 1}, {Xid: 9, Seq: 7}, {Xid: 10, Seq: 0}} {
		require.NoError(t, s.AdvanceRelayCursor(t.Context(), "r", p))
	}
	at, err := s.RelayCursor(t.Context(), "r")
	require.NoError(t, err)
	require.Equal(t, omni.Position{Xid: 10, Seq: 1}, at)
	other, err := s.RelayCursor(t.Context(), "other")
	require.NoError(t, err)
	require.True(t, other.IsZero())
}
