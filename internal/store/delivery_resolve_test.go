package store_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/internal/omni"
)

// held is a reply of three parts whose first is unknown; it ended there, as
// policy hold has it.
func (w *world) held(chat, id string) (omni.Envelope, omni.TurnView, omni.PartClaim) {
	w.t.Helper()
	e := w.receive(chat, "ana", id, "hello")
	v := w.join(e, 0)
	w.answer(e, v, "one", "two", "three")
	c := w.claim(e, v, "a/1/1")
	w.receipt(e, v, c, "unknown")
	_, _, err := w.FinishTurn(w.t.Context(), omni.FinishParams{ChatID: e.ChatID(), TurnID: v.TurnID.UUID, WorkflowID: workflowOf(e),
		Epoch: v.Epoch, Outcome: "unknown", Error: "unknown: timeout", Attempt: w.attempt()})
	require.NoError(w.t, err)
	require.Equal(w.t, []string{"unknown", "cancelled", "cancelled"}, w.replyStatuses(v))
	require.Equal(w.t, "failed", w.status(e.MessageID))
	return e, v, c
}

func (w *world) replyStatuses(v omni.TurnView) (statuses []string) {
	w.t.Helper()
	require.NoError(w.t, w.Pool().QueryRow(w.t.Context(), `SELECT array_agg(status ORDER BY part_index) FROM messages
		WHERE turn_id = $1 AND direction = 'outbound'`, v.TurnID.UUID).Scan(&statuses))
	return statuses
}

func (w *world) resolve(c omni.PartClaim, outcome string) *omni.DeliveryResolution {
	w.t.Helper()
	r, err := w.ResolveDelivery(w.t.Context(), omni.DefaultTenant, c.MessageID, outcome, "")
	require.NoError(w.t, err)
	return r
}

func (w *world) turnState(v omni.TurnView) (state, outcome string) {
	w.t.Helper()
	require.NoError(w.t, w.Pool().QueryRow(w.t.Context(), `SELECT state, outcome FROM turns WHERE id = $1`, v.TurnID.UUID).Scan(&state, &outcome))
	return state, outcome
}

// deliverRest goes on with a reopened turn as its workflow does.
func (w *world) deliverRest(e omni.Envelope, v omni.TurnView, epoch int, workflow string) (sent int) {
	w.t.Helper()
	view, err := w.CloseTurn(w.t.Context(), e.ChatID(), v.TurnID.UUID, workflow, epoch,
		omni.ClosingParams{Provider: "echo", AnswerWithin: time.Minute, MediaWithin: time.Minute}, w.attempt())
	require.NoError(w.t, err)
	require.Equal(w.t, "closed", view.State)
	require.True(w.t, view.Answered, "the agent is not asked again")
	for {
		c, err := w.ClaimPart(w.t.Context(), omni.ClaimParams{ChatID: e.ChatID(), TurnID: v.TurnID.UUID, WorkflowID: workflow, Epoch: epoch,
			Sender: "a/1/2", TTL: time.Hour, StartedAt: time.Now()})
		require.NoError(w.t, err)
		require.Equal(w.t, "claimed", c.State)
		finished, _, err := w.ReceiptPart(w.t.Context(), omni.ReceiptParams{ChatID: e.ChatID(), MessageID: c.MessageID, Status: "sent",
			TurnID: v.TurnID, WorkflowID: workflow, Epoch: epoch, FinishAs: "answered", Attempt: w.attempt()})
		require.NoError(w.t, err)
		sent++
		if finished {
			return sent
		}
	}
}

// It was sent: the reply goes on with what was held back. It is to be sent
// again: with that part.
func TestAResolvedReplyGoesOn(t *testing.T) {
	t.Parallel()
	for outcome, rest := range map[string]int{"sent": 2, "resend": 3} {
		t.Run(outcome, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			e, v, c := w.held("c1", "m1")
			r := w.resolve(c, outcome)
			require.Equal(t, omni.ResolveResolved, r.State)
			require.Equal(t, v.TurnID, r.TurnID)
			require.Equal(t, e.MessageID, r.MessageID)
			require.Equal(t, "processing", w.status(e.MessageID))
			require.Equal(t, rest, w.deliverRest(e, v, r.Epoch, r.WorkflowID))
			require.Equal(t, []string{"sent", "sent", "sent"}, w.replyStatuses(v))
			require.Equal(t, "answered", w.status(e.MessageID))
			require.Equal(t, omni.ResolveSettled, w.resolve(c, outcome).State, "said once")
		})
	}
}

func TestAPartThatWasNotSentEndsItsReply(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e, v, c := w.held("c1", "m1")
	r := w.resolve(c, "failed")
	require.False(t, r.TurnID.Valid)
	require.Equal(t, []string{"failed", "cancelled", "cancelled"}, w.replyStatuses(v))
	_, outcome := w.turnState(v)
	require.Equal(t, "failed", outcome)
	require.Equal(t, "a person says that it was not sent", w.eventError(e.MessageID, "message.failed"))
}

// Nothing was held back: the reply was whole, and so it is answered.
func TestTheLastPartThatWasSentCompletesItsReply(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.receive("c1", "ana", "m1", "hello")
	v := w.join(e, 0)
	w.answer(e, v, "one")
	c := w.claim(e, v, "a/1/1")
	w.receipt(e, v, c, "unknown")
	_, _, err := w.FinishTurn(t.Context(), omni.FinishParams{ChatID: e.ChatID(), TurnID: v.TurnID.UUID, WorkflowID: workflowOf(e),
		Epoch: v.Epoch, Outcome: "unknown", Error: "unknown: timeout", Attempt: w.attempt()})
	require.NoError(t, err)
	r := w.resolve(c, "sent")
	require.False(t, r.TurnID.Valid)
	state, outcome := w.turnState(v)
	require.Equal(t, "answered", state)
	require.Equal(t, "answered", outcome)
	require.Equal(t, "answered", w.status(e.MessageID))
}

// Nobody wants the rest of an answer after the next answer, or days later; a
// part that somebody wants sent again goes out all the same.
func TestTheRestOfAReplyCanComeTooLate(t *testing.T) {
	t.Parallel()
	late := map[string]func(w *world, v omni.TurnView){
		"the conversation went on": func(w *world, _ omni.TurnView) {
			e := w.receive("c1", "ana", "m2", "hello?")
			v := w.join(e, 0)
			w.answer(e, v, "hi")
			w.receipt(e, v, w.claim(e, v, "a/1/3"), "sent")
		},
		"days later": func(w *world, v omni.TurnView) {
			w.exec(`UPDATE turns SET closed_at = closed_at - interval '25 hours' WHERE id = $1`, v.TurnID.UUID)
		},
	}
	for name, happens := range late {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			e, v, c := w.held("c1", "m1")
			happens(w, v)
			require.False(t, w.resolve(c, "sent").TurnID.Valid)
			require.Equal(t, []string{"sent", "cancelled", "cancelled"}, w.replyStatuses(v))
			_, outcome := w.turnState(v)
			require.Equal(t, "failed", outcome)
			require.Equal(t, "failed", w.status(e.MessageID))
		})
		t.Run(name+", sent again", func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			e, v, c := w.held("c1", "m1")
			happens(w, v)
			r := w.resolve(c, "resend")
			require.Equal(t, 3, w.deliverRest(e, v, r.Epoch, r.WorkflowID))
		})
	}
}

// While another answer is under way the reply waits for its place.
func TestAResolvedReplyWaitsForItsPlace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e, v, c := w.held("c1", "m1")
	e2 := w.receive("c1", "ana", "m2", "hello?")
	v2 := w.join(e2, 0)
	w.answer(e2, v2, "hi")
	r := w.resolve(c, "resend")
	view, err := w.CloseTurn(t.Context(), e.ChatID(), v.TurnID.UUID, r.WorkflowID, r.Epoch, omni.ClosingParams{AnswerWithin: time.Minute}, w.attempt())
	require.NoError(t, err)
	require.Equal(t, "behind", view.State)
	w.receipt(e2, v2, w.claim(e2, v2, "a/1/3"), "sent")
	require.Equal(t, 3, w.deliverRest(e, v, r.Epoch, r.WorkflowID))
}

// A person has the chat: what they want sent again waits until they give it
// back; what is held stays held.
func TestATakenChatIsNotAnsweredByResolving(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e, v, c := w.held("c1", "m1")
	_, err := w.TakeoverChat(t.Context(), e.ChatID(), omni.Takeover{Reason: "by call"})
	require.NoError(t, err)
	require.Equal(t, omni.ResolvePaused, w.resolve(c, "resend").State)
	require.Equal(t, "unknown", w.status(c.MessageID))
	require.False(t, w.resolve(c, "sent").TurnID.Valid)
	unparked, err := w.UnparkTurns(t.Context(), 10)
	require.NoError(t, err)
	require.Empty(t, unparked)
	require.NoError(t, w.ResumeChat(t.Context(), e.ChatID(), "by call"))
	unparked, err = w.UnparkTurns(t.Context(), 10)
	require.NoError(t, err)
	require.Len(t, unparked, 1)
	require.Equal(t, 2, w.deliverRest(e, v, unparked[0].Epoch, unparked[0].WorkflowID))
}

// The platform's receipt says it: nobody has to.
func TestAReceiptLetsAHeldReplyGoOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e, v, c := w.held("c1", "m1")
	unparked, err := w.UnparkTurns(t.Context(), 10)
	require.NoError(t, err)
	require.Empty(t, unparked, "nobody knows yet")
	var applied bool
	require.NoError(t, w.Pool().QueryRow(t.Context(), `SELECT record_receipt('default', $1, $2, 'delivered', '')`, w.instance,
		"x-"+c.MessageID.String()).Scan(&applied))
	require.True(t, applied)
	unparked, err = w.UnparkTurns(t.Context(), 10)
	require.NoError(t, err)
	require.Len(t, unparked, 1)
	require.Equal(t, 2, w.deliverRest(e, v, unparked[0].Epoch, unparked[0].WorkflowID))
	require.Equal(t, []string{"delivered", "sent", "sent"}, w.replyStatuses(v))
	unparked, err = w.UnparkTurns(t.Context(), 10)
	require.NoError(t, err)
	require.Empty(t, unparked)
}

func TestResolvingWhatIsNotOurs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, _, c := w.held("c1", "m1")
	for tenant, id := range map[string]uuid.UUID{omni.DefaultTenant: uuid.New(), "another": c.MessageID} {
		_, err := w.ResolveDelivery(t.Context(), tenant, id, "sent", "")
		require.ErrorIs(t, err, omni.ErrNotFound)
	}
}
