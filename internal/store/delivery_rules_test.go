package store_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/internal/omni"
)

// postpone gives a part back with the platform's wait.
func (w *world) postpone(e omni.Envelope, v omni.TurnView, c omni.PartClaim, after time.Duration) {
	w.t.Helper()
	_, _, err := w.ReceiptPart(w.t.Context(), omni.ReceiptParams{ChatID: e.ChatID(), MessageID: c.MessageID, Status: "queued",
		Error: "rate_limited: slow down", TurnID: v.TurnID, WorkflowID: workflowOf(e), Epoch: v.Epoch, FinishAs: "answered",
		RetryAfter: after, Attempt: w.attempt()})
	require.NoError(w.t, err)
}

// A part that has to wait is handed to nobody before its time: not to a
// process that starts after a crash, not to a workflow that adopts the turn.
func TestAPlatformsWaitIsInTheRow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.receive("c1", "ana", "m1", "hello")
	v := w.join(e, 0)
	w.answer(e, v, "one")
	w.postpone(e, v, w.claim(e, v, "a/1/1"), time.Minute)
	c := w.claim(e, v, "a/2/1")
	require.Equal(t, "later", c.State)
	require.InDelta(t, 60, c.Wait.Seconds(), 10)
	require.Equal(t, "rate_limited: slow down", c.Error)

	w.exec(`UPDATE messages SET retry_at = clock_timestamp() - interval '1 ms' WHERE turn_id = $1 AND direction = 'outbound'`, v.TurnID.UUID)
	c = w.claim(e, v, "a/2/1")
	require.Equal(t, "claimed", c.State)
	require.Equal(t, 2, c.Attempts)
	finished, _ := w.receipt(e, v, c, "sent")
	require.True(t, finished)
}

func (w *world) exec(sql string, args ...any) {
	w.t.Helper()
	_, err := w.Pool().Exec(w.t.Context(), sql, args...)
	require.NoError(w.t, err)
}

// A part that comes back unsent from a turn that was taken over is not left
// waiting for anybody.
func TestAPartComesBackToACancelledTurn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.receive("c1", "ana", "m1", "hello")
	v := w.join(e, 0)
	w.answer(e, v, "one", "two")
	c := w.claim(e, v, "a/1/1")
	_, err := w.TakeoverChat(t.Context(), e.ChatID(), omni.Takeover{Reason: "by call"})
	require.NoError(t, err)
	require.Equal(t, "sending", w.status(c.MessageID), "it is under way")
	w.postpone(e, v, c, 0)
	require.Equal(t, "cancelled", w.status(c.MessageID))
}

// A reply that nobody wants any more says so: each part, the turn, the message.
func TestAnOldReplyExpires(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.receive("c1", "ana", "m1", "hello")
	v := w.join(e, 0)
	w.answer(e, v, "one", "two")
	w.exec(`UPDATE turns SET closed_at = closed_at - interval '2 hours' WHERE id = $1`, v.TurnID.UUID)
	c := w.claim(e, v, "a/1/1")
	require.Equal(t, "expired", c.State)
	require.Equal(t, "not begun within 3600 s (messaging.replyTtlSeconds)", c.Error)
	outcome, _, err := w.FinishTurn(t.Context(), omni.FinishParams{ChatID: e.ChatID(), TurnID: v.TurnID.UUID, WorkflowID: workflowOf(e),
		Epoch: v.Epoch, Outcome: "expired", Error: c.Error, Attempt: w.attempt()})
	require.NoError(t, err)
	require.Equal(t, "expired", outcome)
	for i := range 2 {
		require.Equal(t, "expired", w.status(omni.PartID(v.TurnID.UUID, i)))
	}
	require.Equal(t, "failed", w.status(e.MessageID))
	story := w.story(e.MessageID)
	require.Equal(t, []string{"message.expired", "message.expired", "turn.failed"}, story[len(story)-3:])
	for _, event := range []string{"message.expired", "turn.failed"} {
		require.Equal(t, c.Error, w.eventError(e.MessageID, event), event)
	}
}

func (w *world) eventError(correlation uuid.UUID, event string) string {
	w.t.Helper()
	var data []byte
	require.NoError(w.t, w.Pool().QueryRow(w.t.Context(), `SELECT data FROM events WHERE correlation_id = $1 AND type = $2 LIMIT 1`,
		correlation, event).Scan(&data))
	var said struct{ Error string }
	require.NoError(w.t, json.Unmarshal(data, &said))
	return said.Error
}

// What is begun is brought to its end, however old it is.
func TestAReplyThatIsBegunDoesNotExpire(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.receive("c1", "ana", "m1", "hello")
	v := w.join(e, 0)
	w.answer(e, v, "one", "two")
	w.receipt(e, v, w.claim(e, v, "a/1/1"), "sent")
	w.exec(`UPDATE turns SET closed_at = closed_at - interval '2 hours' WHERE id = $1`, v.TurnID.UUID)
	require.Equal(t, "claimed", w.claim(e, v, "a/1/1").State)
}

func TestUncertainSendsAreCounted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.receive("c1", "ana", "m1", "hello")
	v := w.join(e, 0)
	w.answer(e, v, "one", "twelve chars")
	c := w.claim(e, v, "a/1/1")
	for want := 1; want <= 3; want++ {
		for _, by := range []string{"whoever made the try", "whoever comes after"} {
			times, err := w.UncertainPart(t.Context(), c.MessageID, want, "timeout")
			require.NoError(t, err)
			require.Equal(t, want, times, by)
		}
	}
	for index, want := range []int{3, 12, 0} {
		length, err := w.PartLength(t.Context(), v.TurnID.UUID, index)
		require.NoError(t, err)
		require.Equal(t, want, length)
	}
}
