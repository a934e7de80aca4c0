package ingest_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/bus"
	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/store"
	"github.com/omnihub/omni/workers/ingest"
)

// ownScript is a store whose RecordOwn answers as it is told, one by one.
type ownScript struct {
	*store.Store
	mu       sync.Mutex
	answers  []omni.OwnMessage
	err      error
	takeover []time.Duration
}

func (s *ownScript) RecordOwn(_ context.Context, _ *omni.Envelope, takeover time.Duration) (omni.OwnMessage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.takeover = append(s.takeover, takeover)
	if s.err != nil {
		return omni.OwnMessage{}, s.err
	}
	if len(s.answers) == 0 {
		return omni.OwnMessage{State: omni.OwnMessageKnown}, nil
	}
	answer := s.answers[0]
	s.answers = s.answers[1:]
	return answer, nil
}

func (s *ownScript) asked() []time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]time.Duration(nil), s.takeover...)
}

func (w *world) ownStarter(own ingest.OwnRecorder) *ingest.Starter {
	w.t.Helper()
	settings := omni.DefaultSettings()
	settings.Messaging.TakeoverOnOwnMessageSeconds = 90
	s := ingest.NewStarter(ingest.StarterDeps{Engine: &fakeEngine{}, Own: own, Bus: w.bus, Log: slog.New(slog.DiscardHandler), Concurrency: 4,
		Instances: fakeInstances{&omni.Instance{ID: w.instance, Settings: settings}}})
	w.run(s)
	return s
}

func (w *world) publishOwn(id string) (*omni.Envelope, uint64) {
	w.t.Helper()
	e := w.event(message.KindMessage, id, "c1", "me")
	e.Event.IsFromMe = true
	return e, w.publish(e)
}

// The decision waits without holding up anything, and the turns that it
// cancelled have their calls cut.
func TestOwnMessageIsAskedAboutUntilItIsDecided(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	turn := uuid.New()
	own := &ownScript{Store: w.store, answers: []omni.OwnMessage{{State: omni.OwnMessageWait}, {State: omni.OwnMessageWait},
		{State: omni.OwnMessageRecorded, Cancelled: []uuid.UUID{turn}}}}
	cuts := make(chan *nats.Msg, 1)
	sub, err := w.conn.ChanSubscribe("turn."+turn.String()+".cancel", cuts)
	require.NoError(t, err)
	defer func() { _ = sub.Unsubscribe() }()
	require.NoError(t, w.conn.Flush())
	_, seq := w.publishOwn("p1")
	s := w.ownStarter(own)
	select {
	case <-cuts:
	case <-time.After(20 * time.Second):
		require.Fail(t, "the call is not cut")
	}
	w.awaitAcked(bus.ConsumerStarter, seq)
	require.Equal(t, []time.Duration{90 * time.Second, 90 * time.Second, 90 * time.Second}, own.asked())
	require.NoError(t, s.Health(t.Context()), "waiting is no trouble")
}

// The recorder leaves it to the starter: recorded before its time it would be
// the operator's for good. What comes behind it is recorded all the same.
func TestRecorderLeavesOwnMessagesAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e, _ := w.publishOwn("p1")
	last := w.publishMany(3)
	w.recorder(w.store)
	w.awaitFloor(last)
	require.Equal(t, 3, w.count("messages"))
	require.Zero(t, w.count("messages WHERE id = $1", e.MessageID))
}

func TestOwnMessageThatCannotBeRecordedIsADeadLetter(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	own := &ownScript{Store: w.store, err: &pgconn.PgError{Code: "22P05", Message: "untranslatable character"}}
	_, seq := w.publishOwn("p1")
	w.ownStarter(own)
	w.awaitAcked(bus.ConsumerStarter, seq)
	require.Equal(t, 1, w.count("dead_letters WHERE message_id IS NOT NULL"))
}

func TestOwnMessageOutlivesTroubleOfTheDatabase(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	own := &ownScript{Store: w.store, err: errors.Join(errAway, context.DeadlineExceeded)}
	_, seq := w.publishOwn("p1")
	s := w.ownStarter(own)
	require.Eventually(t, func() bool { return len(own.asked()) > 3 }, 20*time.Second, 10*time.Millisecond)
	require.Error(t, s.Health(t.Context()))
	own.mu.Lock()
	own.err = nil
	own.mu.Unlock()
	w.awaitAcked(bus.ConsumerStarter, seq)
	require.NoError(t, s.Health(t.Context()))
	require.Zero(t, w.count("dead_letters"))
}
