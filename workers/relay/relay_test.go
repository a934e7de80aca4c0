package relay_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/omnihub/omni/internal/bus"
	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/store"
	"github.com/omnihub/omni/internal/testkit"
	"github.com/omnihub/omni/workers/relay"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

type world struct {
	t     *testing.T
	store *store.Store
	bus   *bus.Bus
	conn  *nats.Conn
}

func newWorld(t *testing.T) *world {
	t.Helper()
	st, err := store.Open(t.Context(), testkit.Postgres(t), 0)
	require.NoError(t, err)
	t.Cleanup(st.Close)
	conn := testkit.NATS(t)
	b, err := bus.Open(t.Context(), conn, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	return &world{t: t, store: st, bus: b, conn: conn}
}

func (w *world) relay(b relay.Bus) *relay.Relay {
	w.t.Helper()
	r := relay.New(relay.Deps{Store: w.store, Bus: b, Log: slog.New(slog.DiscardHandler)})
	require.NoError(w.t, r.Start(w.t.Context()))
	w.t.Cleanup(func() { w.stop(r) })
	return r
}

func (w *world) stop(r *relay.Relay) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := r.Stop(ctx); err != nil {
		w.t.Error(err)
	}
}

func (w *world) appendEvents(n int, typ omni.EventType) {
	w.t.Helper()
	for range n {
		require.NoError(w.t, w.store.AppendEvent(w.t.Context(), store.NewEvent{TenantID: omni.DefaultTenant, Type: typ,
			InstanceID: uuid.New(), Channel: "custom", Data: map[string]string{"text": "x"}}))
	}
	w.store.Nudge()
}

func (w *world) stream(name string) jetstream.Stream {
	w.t.Helper()
	js, err := jetstream.New(w.conn)
	require.NoError(w.t, err)
	s, err := js.Stream(w.t.Context(), name)
	require.NoError(w.t, err)
	return s
}

// awaitRelayed returns when the cursor is at the end of the log.
func (w *world) awaitRelayed() {
	w.t.Helper()
	require.Eventually(w.t, func() bool {
		var last int64
		err := w.store.Pool().QueryRow(w.t.Context(), "SELECT coalesce(max(seq), 0) FROM events").Scan(&last)
		if err != nil {
			return false
		}
		var behind int
		err = w.store.Pool().QueryRow(w.t.Context(), `SELECT count(*) FROM events WHERE (xid, seq) > (SELECT xid::xid8, seq FROM relay_cursor)
			OR NOT EXISTS (SELECT FROM relay_cursor)`).Scan(&behind)
		return err == nil && behind == 0
	}, 30*time.Second, 10*time.Millisecond)
}

type cloudEvent struct {
	ID       string `json:"id"`
	Type     string `json:"type"`
	Position string `json:"position"`
}

func TestEveryEventReachesItsStreamOnceAndInOrderWhileTransactionsCommitOutOfOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.relay(w.bus)
	var written atomic.Int64
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			for range 30 {
				n, err := w.transaction()
				if err != nil {
					t.Error(err)
					return
				}
				written.Add(int64(n))
			}
		})
	}
	// The relay is killed and replaced in the middle.
	require.Eventually(t, func() bool { return w.stream(bus.StreamMessages).CachedInfo().State.Msgs > 50 }, 20*time.Second, time.Millisecond)
	w.stop(r)
	w.relay(w.bus)
	wg.Wait()
	w.awaitRelayed()

	s := w.stream(bus.StreamMessages)
	require.EqualValues(t, written.Load(), s.CachedInfo().State.Msgs)
	var at omni.Position
	for seq := uint64(1); seq <= s.CachedInfo().State.LastSeq; seq++ {
		msg, err := s.GetMsg(t.Context(), seq)
		require.NoError(t, err)
		var e cloudEvent
		require.NoError(t, json.Unmarshal(msg.Data, &e))
		p, err := omni.ParsePosition(e.Position)
		require.NoError(t, err)
		require.True(t, at.Less(p), "%s after %s", p, at)
		at = p
	}
}

// transaction appends a few events, slowly, and returns how many.
func (w *world) transaction() (int, error) {
	ctx := w.t.Context()
	tx, err := w.store.Pool().Begin(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { _ = tx.Rollback(ctx) }()
	n := 1 + rand.IntN(3)
	for range n {
		if _, err := tx.Exec(ctx, `INSERT INTO events (id, tenant_id, type, instance_id, channel, data)
			VALUES ($1, 'default', 'message.sent', $1, 'custom', '{}')`, uuid.New()); err != nil {
			return 0, err
		}
		if _, err := tx.Exec(ctx, "SELECT pg_sleep($1)", rand.Float64()*0.008); err != nil {
			return 0, err
		}
	}
	return n, tx.Commit(ctx)
}

func TestWhatIsRelayedAgainAfterACrashIsDropped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.appendEvents(40, omni.EventMessageReceived)
	r := w.relay(w.bus)
	w.awaitRelayed()
	w.stop(r)
	// Killed after publishing, before it kept its place.
	_, err := w.store.Pool().Exec(t.Context(), "DELETE FROM relay_cursor")
	require.NoError(t, err)
	w.appendEvents(5, omni.EventTurnStarted)
	r = w.relay(w.bus)
	w.awaitRelayed()
	require.NoError(t, r.Health(t.Context()))
	require.EqualValues(t, 40, w.stream(bus.StreamMessages).CachedInfo().State.Msgs)
	require.EqualValues(t, 5, w.stream(bus.StreamAgent).CachedInfo().State.Msgs)
}

// brokenBus fails to publish for a while, and counts how often it says that the
// log has grown.
type brokenBus struct {
	*bus.Bus
	failures atomic.Int32
	told     atomic.Int32
}

func (b *brokenBus) PublishEvents(ctx context.Context, batch []bus.OutgoingEvent) error {
	if b.failures.Add(-1) >= 0 {
		return errors.New("away")
	}
	return b.Bus.PublishEvents(ctx, batch)
}

func (b *brokenBus) AnnounceLog(ctx context.Context) error {
	b.told.Add(1)
	return b.Bus.AnnounceLog(ctx)
}

func TestRelayTriesAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.appendEvents(10, omni.EventMessageReceived)
	b := &brokenBus{Bus: w.bus}
	b.failures.Store(4)
	r := w.relay(b)
	require.Eventually(t, func() bool { return r.Health(t.Context()) != nil }, 10*time.Second, time.Millisecond)
	w.awaitRelayed()
	require.Eventually(t, func() bool { return r.Health(t.Context()) == nil }, 10*time.Second, 10*time.Millisecond)
	require.EqualValues(t, 10, w.stream(bus.StreamMessages).CachedInfo().State.Msgs)
	require.Positive(t, b.told.Load())
}

func TestLargeEventsDoNotStopTheRelay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	huge := make([]byte, w.conn.MaxPayload()+1)
	for i := range huge {
		huge[i] = 'a'
	}
	require.NoError(t, w.store.AppendEvent(t.Context(), store.NewEvent{TenantID: omni.DefaultTenant, Type: omni.EventMessageReceived,
		InstanceID: uuid.New(), Channel: "custom", Data: map[string]string{"text": string(huge)}}))
	w.appendEvents(3, omni.EventMessageReceived)
	w.relay(w.bus)
	w.awaitRelayed()
	require.EqualValues(t, 3, w.stream(bus.StreamMessages).CachedInfo().State.Msgs)
}

func TestOnlyOneRelayIsActive(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.relay(w.bus)
	require.Eventually(t, func() bool { return first.Health(t.Context()) == nil }, 10*time.Second, 5*time.Millisecond)
	idle := &brokenBus{Bus: w.bus}
	second := w.relay(idle)
	w.appendEvents(5, omni.EventMessageReceived)
	w.awaitRelayed()
	require.NoError(t, second.Health(t.Context()))
	require.Zero(t, idle.told.Load())
	w.stop(first)
	require.Eventually(t, func() bool {
		w.appendEvents(1, omni.EventMessageReceived)
		return idle.told.Load() > 0
	}, 10*time.Second, 50*time.Millisecond)
}
