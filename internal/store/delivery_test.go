package store_test

import (
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
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

// An answer of one part may be claimed with it. Whoever else asks waits for
// the sender; one of the next process, after a crash, finds the part in sending.
func TestAnswerAndClaim(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.receive("c1", "ana", "m1", "hello")
	v := w.join(e, 0)
	p := omni.ClaimParams{ChatID: e.ChatID(), TurnID: v.TurnID.UUID, WorkflowID: workflowOf(e), Epoch: v.Epoch, Sender: "a/1/1",
		TTL: time.Hour, StartedAt: time.Now()}
	ans := omni.Answer{Text: "one", Parts: []message.Content{{Type: message.TypeText, Text: "one"}}}
	state, n, c, err := w.AnswerAndClaim(t.Context(), p, ans, time.Minute, w.attempt())
	require.NoError(t, err)
	require.Equal(t, "closed", state)
	require.Equal(t, 1, n)
	require.Equal(t, "claimed", c.State)
	require.Equal(t, "one", c.Content.Text)
	require.Equal(t, 1, c.Attempts)
	require.Equal(t, "sending", w.status(c.MessageID))
	require.Len(t, w.data(e, "message.sending"), 1)

	p.Sender = "a/1/2"
	_, _, again, err := w.AnswerAndClaim(t.Context(), p, ans, time.Minute, w.attempt())
	require.NoError(t, err)
	require.Equal(t, "busy", again.State)
	require.Equal(t, "busy", w.claim(e, v, "a/1/3").State)
	require.Equal(t, "resume", w.claim(e, v, "a/2/1").State)
	require.Len(t, w.data(e, "message.sending"), 1)
	finished, _ := w.receipt(e, v, c, "sent")
	require.True(t, finished)

	_, _, over, err := w.AnswerAndClaim(t.Context(), p, ans, time.Minute, w.attempt())
	require.NoError(t, err)
	require.Empty(t, over.State)
}

// Of an answer of several parts, none is claimed with it; nor of one that
// comes when its turn is over.
func TestAnswerAndClaimClaimsNoMore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.receive("c1", "ana", "m1", "hello")
	v := w.join(e, 0)
	p := omni.ClaimParams{ChatID: e.ChatID(), TurnID: v.TurnID.UUID, WorkflowID: workflowOf(e), Epoch: v.Epoch, Sender: "a/1/1",
		TTL: time.Hour, StartedAt: time.Now()}
	two := omni.Answer{Text: "one two", Parts: []message.Content{{Type: message.TypeText, Text: "one"}, {Type: message.TypeText, Text: "two"}}}
	state, n, c, err := w.AnswerAndClaim(t.Context(), p, two, time.Minute, w.attempt())
	require.NoError(t, err)
	require.Equal(t, "closed", state)
	require.Equal(t, 2, n)
	require.Empty(t, c.State)

	p.Epoch++
	state, _, c, err = w.AnswerAndClaim(t.Context(), p, two, time.Minute, w.attempt())
	require.NoError(t, err)
	require.Equal(t, "adopted", state)
	require.Empty(t, c.State)
}

// No index of messages looks at what every step changes: else each step would
// write a new entry into all of them.
func TestStepsOfAMessageTouchNoIndex(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var definitions []string
	require.NoError(t, w.Pool().QueryRow(t.Context(), `SELECT coalesce(array_agg(pg_get_indexdef(indexrelid)), '{}') FROM pg_index
		WHERE indrelid = 'messages'::regclass AND pg_get_indexdef(indexrelid) ~ '\m(status|updated_at|attempts|epoch)\M'`).Scan(&definitions))
	require.Empty(t, definitions, "a generated column changes only when it matters: see untaken")
}
