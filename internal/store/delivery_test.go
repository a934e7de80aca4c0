package store_test

import (
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// A sender whose lease another one has taken over gives back and renews
// nothing of the other's.
func TestReplacedSenderTouchesNoLease(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.receive("c1", "ana", "m1", "hello")
	v := w.join(e, 0)
	w.answer(e, v, "one", "two")
	require.Equal(t, "claimed", w.claim(e, v, "a/1/1").State)
	require.Equal(t, "resume", w.claim(e, v, "a/2/1").State)
	turn := v.TurnID.UUID
	until := w.deliveringUntil(e.ChatID(), turn)

	require.NoError(t, w.RenewSender(t.Context(), e.ChatID(), turn, "a/1/1"))
	require.Equal(t, until, w.deliveringUntil(e.ChatID(), turn))
	require.NoError(t, w.ReleaseSender(t.Context(), e.ChatID(), turn, "a/1/1"))
	require.Equal(t, until, w.deliveringUntil(e.ChatID(), turn))

	require.NoError(t, w.RenewSender(t.Context(), e.ChatID(), turn, "a/2/1"))
	require.Greater(t, w.deliveringUntil(e.ChatID(), turn), until)
	require.NoError(t, w.ReleaseSender(t.Context(), e.ChatID(), turn, "a/2/1"))
	require.Zero(t, w.deliveringUntil(e.ChatID(), turn))
}

// Renewing, claiming and releasing at once never wait for each other in a circle.
func TestSendersDoNotDeadlock(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.receive("c1", "ana", "m1", "hello")
	v := w.join(e, 0)
	w.answer(e, v, "one", "two")
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for range 100 {
				w.claim(e, v, "a/1/1")
			}
		})
		wg.Go(func() {
			for range 100 {
				if err := w.RenewSender(t.Context(), e.ChatID(), v.TurnID.UUID, "a/1/1"); err != nil {
					t.Error(err)
				}
				if err := w.ReleaseSender(t.Context(), e.ChatID(), v.TurnID.UUID, "a/1/1"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

// deliveringUntil is the end of the unit's lease on the chat, in seconds; 0 if
// it has none.
func (w *world) deliveringUntil(chat, unit uuid.UUID) int64 {
	w.t.Helper()
	var until *time.Time
	require.NoError(w.t, w.Pool().QueryRow(w.t.Context(), `SELECT CASE WHEN delivering = $2 THEN delivering_until END FROM chats WHERE id = $1`,
		chat, unit).Scan(&until))
	if until == nil {
		return 0
	}
	return until.UnixMicro()
}
