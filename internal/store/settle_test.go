package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/internal/omni"
)

// cutOff is a turn of two parts that is cut off while its first is handed over.
func (w *world) cutOff(chat string) (omni.Envelope, omni.TurnView, omni.PartClaim) {
	w.t.Helper()
	e := w.receive(chat, "ana", chat+"m1", "hello")
	v := w.join(e, 0)
	w.answer(e, v, "one", "two")
	c := w.claim(e, v, "a/1/1")
	_, err := w.Pool().Exec(w.t.Context(), `SELECT turn_finish_locked(t, 'cancelled', '', 'x', now(), 1) FROM turns t WHERE id = $1`, v.TurnID.UUID)
	require.NoError(w.t, err)
	return e, v, c
}

// Until the part under way has its outcome nothing else goes out in the chat.
func TestPartUnderWayKeepsTheChat(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e, v, c := w.cutOff("c1")
	turn := v.TurnID.UUID
	require.NotZero(t, w.deliveringUntil(e.ChatID(), turn))
	require.NoError(t, w.RenewSender(t.Context(), e.ChatID(), turn, "a/1/1"))

	next := w.receive("c1", "ana", "m2", "next")
	n := w.join(next, 0)
	require.Equal(t, "closed", n.State)
	w.answer(next, n, "reply")
	require.Equal(t, "busy", w.claim(next, n, "a/1/2").State)
	require.Equal(t, "claimed", w.claim(next, n, "a/2/1").State, "not for the former process of the same owner: it is gone")

	w.receipt(e, v, c, "sent")
	require.NoError(t, w.ReleaseSender(t.Context(), e.ChatID(), turn, "a/1/1"))
	require.Equal(t, "sent", w.status(c.MessageID))
	require.Zero(t, w.deliveringUntil(e.ChatID(), turn))
}

// The sender died with the part under way: whoever comes next is to ask what
// became of it, once, and to send nothing.
func TestPartUnderWayIsSettled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e, v, c := w.cutOff("c1")
	require.Equal(t, "busy", w.claim(e, v, "b/1/1").State, "its sender may live")
	s := w.claim(e, v, "a/2/1")
	require.Equal(t, "settle", s.State)
	require.Equal(t, c.MessageID, s.MessageID)
	w.receipt(e, v, s, "unknown")
	require.Equal(t, "unknown", w.status(c.MessageID))
	require.Equal(t, "cancelled", w.claim(e, v, "a/2/1").State)
	require.Equal(t, "cancelled", w.status(omni.PartID(v.TurnID.UUID, 1)))
	require.Equal(t, 1, count(w.story(e.MessageID), "message.unknown"))
}

// Known not to have gone out, and not to be tried again.
func TestPartUnderWayThatWasNotSentIsCancelled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e, v, c := w.cutOff("c1")
	finished, _ := w.receipt(e, v, c, "queued")
	require.False(t, finished)
	require.Equal(t, "cancelled", w.status(c.MessageID))
	require.Equal(t, "cancelled", w.claim(e, v, "a/1/1").State)
	w.receipt(e, v, c, "queued")
	require.Equal(t, "cancelled", w.status(c.MessageID), "also when it is said twice")
}

// A turn that is answered to its end gives the chat back at once.
func TestAnsweredTurnKeepsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.receive("c1", "ana", "m1", "hello")
	v := w.join(e, 0)
	w.answer(e, v, "one")
	finished, _ := w.receipt(e, v, w.claim(e, v, "a/1/1"), "sent")
	require.True(t, finished)
	require.Zero(t, w.deliveringUntil(e.ChatID(), v.TurnID.UUID))
	require.Equal(t, "done", w.claim(e, v, "b/1/1").State)
	var until *time.Time
	require.NoError(t, w.Pool().QueryRow(t.Context(), `SELECT CASE WHEN sender IS NOT NULL THEN sender_until END FROM turns`).Scan(&until))
	require.Nil(t, until)
}
