package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/internal/omni"
)

// doubtful is a reply of two parts whose first may have arrived at the first
// try, and certainly did not at the second.
func (w *world) doubtful(chat string) (omni.Envelope, omni.TurnView, omni.PartClaim) {
	w.t.Helper()
	e := w.receive(chat, "ana", chat+"m1", "hello")
	v := w.join(e, 0)
	w.answer(e, v, "one", "two")
	w.claim(e, v, "a/1/1")
	c := w.claim(e, v, "a/1/1")
	require.Equal(w.t, "resume", c.State)
	require.NoError(w.t, w.DoubtPart(w.t.Context(), c.MessageID))
	return e, v, c
}

// A part that is not tried any more may have been seen at an earlier try,
// whatever the last one's answer was: it is unknown, not cancelled.
func TestAPartThatMayHaveArrivedIsNotCancelled(t *testing.T) {
	t.Parallel()
	ends := map[string]func(w *world, e omni.Envelope){
		"taken over": func(w *world, e omni.Envelope) { w.takeover(e, nil) },
		"interrupted": func(w *world, e omni.Envelope) {
			next := w.receive("c1", "ana", "m2", "wait")
			v := w.joinBusy(next, 0)
			require.True(w.t, v.Interrupt.Valid)
			w.yield(next, v, v.Interrupt)
		},
	}
	for name, end := range ends {
		t.Run(name+" before it is tried again", func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			e, v, c := w.doubtful("c1")
			w.postpone(e, v, c, time.Minute)
			end(w, e)
			require.Equal(t, []string{"unknown", "cancelled"}, w.replyStatuses(v))
			require.Equal(t, "an earlier try may have arrived", w.eventError(e.MessageID, "message.unknown"))
		})
		t.Run(name+" while it is tried", func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			e, v, c := w.doubtful("c1")
			end(w, e)
			require.Equal(t, []string{"sending", "cancelled"}, w.replyStatuses(v))
			w.postpone(e, v, c, time.Minute)
			require.Equal(t, []string{"unknown", "cancelled"}, w.replyStatuses(v))
			require.Equal(t, 1, count(w.story(e.MessageID), "message.unknown"))
		})
	}
}

// A reply that may have been begun does not expire: nobody knows.
func TestAReplyThatMayBeBegunIsUnknownWhenItIsTooOld(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e, v, c := w.doubtful("c1")
	w.postpone(e, v, c, 0)
	w.exec(`UPDATE turns SET closed_at = closed_at - interval '2 hours' WHERE id = $1`, v.TurnID.UUID)
	stopped := w.claim(e, v, "a/1/1")
	require.Equal(t, "stopped", stopped.State)
	require.Equal(t, "unknown", stopped.Status)
	require.Equal(t, "unknown", w.finish(e, v, "unknown", ""))
	require.Equal(t, []string{"unknown", "cancelled"}, w.replyStatuses(v))
	require.Zero(t, count(w.story(e.MessageID), "message.expired"))

	acc := w.longMessage(nil)
	first := w.claimOutbound(acc, 0)
	require.NoError(t, w.DoubtPart(t.Context(), first.MessageID))
	w.receiptOutbound(acc, first, "queued")
	w.exec(`UPDATE messages SET created_at = created_at - interval '2 hours' WHERE correlation_id = $1`, acc.MessageID)
	stopped = w.claimOutbound(acc, 0)
	require.Equal(t, "stopped", stopped.State)
	require.Equal(t, "unknown", stopped.Status)
	require.Equal(t, "unknown", w.status(acc.MessageID))
}

// Of a turn whose last part may have arrived nothing is left to interrupt.
func TestATurnWhoseLastPartMayHaveArrivedIsNotInterrupted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.receive("c1", "ana", "m1", "hello")
	v := w.join(e, 0)
	w.answer(e, v, "one")
	c := w.claim(e, v, "a/1/1")
	require.NoError(t, w.DoubtPart(t.Context(), c.MessageID))
	w.postpone(e, v, c, time.Minute)
	next := w.receive("c1", "ana", "m2", "wait")
	require.False(t, w.joinBusy(next, 0).Interrupt.Valid)
}

// What a person wants sent again may have arrived; what they know not to have
// been sent has not.
func TestAPersonsWordIsNoDoubt(t *testing.T) {
	t.Parallel()
	for outcome, want := range map[string]string{"resend": "unknown", "failed": "failed"} {
		w := newWorld(t)
		e, v, c := w.held("c1", "m1")
		w.resolve(c, outcome)
		w.takeover(e, nil)
		require.Equal(t, want, w.replyStatuses(v)[0])
	}
}

// A part that was tried once and refused was never seen.
func TestARefusedPartIsCancelled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.receive("c1", "ana", "m1", "hello")
	v := w.join(e, 0)
	w.answer(e, v, "one", "two")
	w.postpone(e, v, w.claim(e, v, "a/1/1"), time.Minute)
	w.takeover(e, nil)
	require.Equal(t, []string{"cancelled", "cancelled"}, w.replyStatuses(v))
}
