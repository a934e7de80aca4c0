package ws

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/omnihub/omni/api/auth"
	"github.com/omnihub/omni/internal/control"
	"github.com/omnihub/omni/internal/omni"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// memLog is an event log in memory.
type memLog struct {
	mu     sync.Mutex
	events []omni.Event
	reads  int
	fail   error
}

func (l *memLog) add(n int, tenant string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for range n {
		seq := int64(len(l.events) + 1)
		l.events = append(l.events, omni.Event{ID: uuid.New(), TenantID: tenant, Type: omni.EventMessageSent, Time: time.Now(),
			Position: omni.Position{Xid: uint64(seq / 3), Seq: seq}})
	}
}

func (l *memLog) EventsAfter(_ context.Context, tenant string, after omni.Position, limit int) ([]omni.Event, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reads++
	if l.fail != nil {
		return nil, l.fail
	}
	var out []omni.Event
	for _, e := range l.events {
		if after.Less(e.Position) && (tenant == "" || e.TenantID == tenant) && len(out) < limit {
			out = append(out, e)
		}
	}
	return out, nil
}

func (l *memLog) PersonAliases(_ context.Context, id uuid.UUID) ([]uuid.UUID, error) {
	return []uuid.UUID{id}, nil
}

func (l *memLog) LogHead(context.Context) (omni.Position, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fail != nil || len(l.events) == 0 {
		return omni.Position{}, l.fail
	}
	return l.events[len(l.events)-1].Position, nil
}

func newTestHub(t *testing.T, log Log) *Hub {
	t.Helper()
	h := NewHub(log, nil, nil, slog.New(slog.DiscardHandler))
	require.NoError(t, h.Start(t.Context()))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		require.NoError(t, h.Stop(ctx))
	})
	return h
}

func admin(ctx context.Context) context.Context {
	return auth.WithCaller(ctx, &omni.APIKey{TenantID: "a", Scopes: []string{omni.ScopeAdmin}})
}

func collect(t *testing.T, s *Stream, n int) (out []omni.Position) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for len(out) < n {
		items, err := s.next(ctx)
		require.NoError(t, err, "after %d", len(out))
		for _, i := range items {
			require.NotEmpty(t, i.json)
			out = append(out, i.event.Position)
		}
	}
	return out
}

func TestASlowConsumerIsCaughtUpAndMemoryStaysBounded(t *testing.T) {
	t.Parallel()
	log := &memLog{}
	h := newTestHub(t, log)
	slow, err := h.Open(admin(t.Context()), control.EventQuery{})
	require.NoError(t, err)
	defer slow.Close()
	const n = maxItems + 3000
	log.add(n, "a")
	h.nudge()
	require.Eventually(t, func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.tail.Seq == n
	}, 20*time.Second, 5*time.Millisecond)
	h.mu.Lock()
	require.LessOrEqual(t, len(h.items), maxItems)
	require.Equal(t, int64(n-maxItems), h.base.Seq)
	h.mu.Unlock()
	got := collect(t, slow, n)
	require.Len(t, got, n)
	for i, p := range got {
		require.Equal(t, int64(i+1), p.Seq)
	}
}

func TestForeignEventsDoNotStopAStream(t *testing.T) {
	t.Parallel()
	log := &memLog{}
	h := newTestHub(t, log)
	log.add(2000, "b")
	log.add(1, "a")
	s, err := h.Open(admin(t.Context()), control.EventQuery{Since: "0"})
	require.NoError(t, err)
	defer s.Close()
	require.Equal(t, int64(2001), collect(t, s, 1)[0].Seq)
	log.add(1200, "b")
	log.add(2, "a")
	h.nudge()
	got := collect(t, s, 2)
	require.Equal(t, []int64{3202, 3203}, []int64{got[0].Seq, got[1].Seq})
}

func TestNobodyListensNobodyReads(t *testing.T) {
	t.Parallel()
	log := &memLog{}
	h := newTestHub(t, log)
	log.add(10, "a")
	require.NoError(t, h.read(t.Context()))
	require.Zero(t, log.reads)
	s, err := h.Open(admin(t.Context()), control.EventQuery{})
	require.NoError(t, err)
	log.add(1, "a")
	h.nudge()
	require.Equal(t, int64(11), collect(t, s, 1)[0].Seq)
	s.Close()
	h.mu.Lock()
	defer h.mu.Unlock()
	require.Empty(t, h.items, "what nobody needs is not kept")
}

func TestALogThatIsAwayIsReadAgain(t *testing.T) {
	t.Parallel()
	log := &memLog{}
	h := newTestHub(t, log)
	s, err := h.Open(admin(t.Context()), control.EventQuery{})
	require.NoError(t, err)
	defer s.Close()
	log.mu.Lock()
	log.fail = errors.New("postgres is away")
	log.mu.Unlock()
	_, err = h.Open(admin(t.Context()), control.EventQuery{})
	var refused *control.Error
	require.ErrorAs(t, err, &refused)
	require.Equal(t, control.KindUnavailable, refused.Kind)
	log.add(1, "a")
	h.nudge()
	log.mu.Lock()
	log.fail = nil
	log.mu.Unlock()
	require.Len(t, collect(t, s, 1), 1, "without another signal")
}

func TestFiltersHoldLiveAndInTheLog(t *testing.T) {
	t.Parallel()
	in, chat, other := uuid.New(), uuid.New(), uuid.New()
	e := omni.Event{Type: "message.received", InstanceID: in, ChatID: uuid.NullUUID{UUID: chat, Valid: true},
		Time: time.Now(), Position: omni.Position{Xid: 5, Seq: 5}}
	for _, tc := range []struct {
		f    omni.EventFilter
		pass bool
	}{
		{omni.EventFilter{}, true},
		{omni.EventFilter{Types: []string{"message.*"}}, true},
		{omni.EventFilter{Types: []string{"*"}}, true},
		{omni.EventFilter{Types: []string{"message"}}, false},
		{omni.EventFilter{Types: []string{"turn.*", "message.received"}}, true},
		{omni.EventFilter{Within: []uuid.UUID{}}, false},
		{omni.EventFilter{Within: []uuid.UUID{other, in}}, true},
		{omni.EventFilter{ChatID: chat, InstanceID: in}, true},
		{omni.EventFilter{ChatID: other}, false},
		{omni.EventFilter{PersonID: other}, false},
		{omni.EventFilter{CorrelationID: other}, false},
		{omni.EventFilter{Since: e.Time}, true},
		{omni.EventFilter{Until: e.Time}, false},
		{omni.EventFilter{After: e.Position}, false},
		{omni.EventFilter{After: omni.Position{Xid: 5, Seq: 4}}, true},
	} {
		require.Equal(t, tc.pass, tc.f.Matches(&e), "%+v", tc.f)
	}
}

func TestNoTenantKeepsTheOthersOut(t *testing.T) {
	t.Parallel()
	h := NewHub(&memLog{}, nil, nil, slog.New(slog.DiscardHandler))
	for range maxOfTenant {
		require.NoError(t, h.join(t.Context(), "a"))
	}
	require.ErrorIs(t, h.join(t.Context(), "a"), ErrTooMany)
	require.NoError(t, h.join(t.Context(), "b"))
	h.leave("a")
	require.NoError(t, h.join(t.Context(), "a"))
	for range maxOfTenant {
		h.leave("a")
	}
	h.leave("b")
	require.Empty(t, h.of)
}
