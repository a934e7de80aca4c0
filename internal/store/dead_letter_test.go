package store_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/activities"
	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
)

// held is a turn as the workflow holds it that a retry began.
type held struct {
	*world
	e omni.Envelope
	r *omni.DeadLetterRetry
}

// instanceRow makes the world's instance one that exists.
func (w *world) instanceRow() {
	w.t.Helper()
	_, err := w.Pool().Exec(w.t.Context(), `INSERT INTO instances (id, tenant_id, name, channel, settings) VALUES ($1, 'default', 'x', 'custom', '{}')`, w.instance)
	require.NoError(w.t, err)
}

// letters are the ids of the dead letters in the order they came, with status.
func (w *world) letters(status string) []omni.DeadLetter {
	w.t.Helper()
	list, err := w.ListDeadLetters(w.t.Context(), omni.DefaultTenant, omni.DeadLetterFilter{Status: status}, omni.Page{Limit: 100})
	require.NoError(w.t, err)
	return list
}

// agentDies ends a closed turn as agent.GiveUp and turn.Finish do; with a
// fallback text it is delivered.
func (w *world) agentDies(e omni.Envelope, v omni.TurnView, fallback ...string) omni.DeadLetter {
	w.t.Helper()
	_, _, err := w.GiveUpTurn(w.t.Context(), omni.TurnFailure{ChatID: e.ChatID(), TurnID: v.TurnID.UUID, WorkflowID: workflowOf(e),
		Epoch: v.Epoch, Error: "bad_credentials (401): no", Kind: "agent_bad_credentials", Attempts: 1}, w.attempt())
	require.NoError(w.t, err)
	if len(fallback) > 0 {
		w.answer(e, v, fallback...)
		for range fallback {
			w.receipt(e, v, w.claim(e, v, "me/1/1"), "sent")
		}
	} else {
		w.finish(e, v, "failed", "")
	}
	require.Equal(w.t, "failed", w.status(e.MessageID))
	return w.letters("open")[0]
}

func (w *world) finish(e omni.Envelope, v omni.TurnView, outcome, deadLetter string) string {
	w.t.Helper()
	got, _, err := w.FinishTurn(w.t.Context(), omni.FinishParams{ChatID: e.ChatID(), TurnID: v.TurnID.UUID, WorkflowID: workflowOf(e),
		Epoch: v.Epoch, Outcome: outcome, Error: "rejected: 400", DeadLetter: deadLetter, Attempts: 1, Attempt: w.attempt()})
	require.NoError(w.t, err)
	return got
}

// deliveryDies ends an answered turn at its nth part (from 0).
func (w *world) deliveryDies(e omni.Envelope, v omni.TurnView, part int) omni.DeadLetter {
	w.t.Helper()
	for range part {
		w.receipt(e, v, w.claim(e, v, "me/1/1"), "sent")
	}
	w.receipt(e, v, w.claim(e, v, "me/1/1"), "failed")
	require.Equal(w.t, "stopped", w.claim(e, v, "me/1/1").State)
	w.finish(e, v, "failed", "deliver.Send")
	require.Equal(w.t, "failed", w.status(e.MessageID))
	return w.letters("open")[0]
}

func (w *world) retry(id uuid.UUID) *omni.DeadLetterRetry {
	w.t.Helper()
	r, err := w.RetryDeadLetter(w.t.Context(), omni.DefaultTenant, id)
	require.NoError(w.t, err)
	return r
}

// reopened retries a dead letter and takes the turn as its workflow does.
func (w *world) reopened(e omni.Envelope, id uuid.UUID) held {
	w.t.Helper()
	r := w.retry(id)
	require.Equal(w.t, omni.RetryReopened, r.State)
	require.Equal(w.t, activities.TurnWorkflowID(r.TurnID.UUID, r.Epoch), r.WorkflowID, "both sides name the workflow alike")
	require.Equal(w.t, e.MessageID, r.MessageID)
	require.Equal(w.t, e.ChatID(), r.ChatID)
	require.Equal(w.t, "processing", w.status(e.MessageID), "it is being answered again")
	return held{w, e, r}
}

func (h held) close() omni.TurnView {
	h.t.Helper()
	v, err := h.CloseTurn(h.t.Context(), h.r.ChatID, h.r.TurnID.UUID, h.r.WorkflowID, h.r.Epoch,
		omni.ClosingParams{Provider: "echo", AnswerWithin: time.Minute, MediaWithin: time.Minute}, h.attempt())
	require.NoError(h.t, err)
	return v
}

func (h held) answer(parts ...string) {
	h.t.Helper()
	contents := make([]message.Content, len(parts))
	for i, p := range parts {
		contents[i] = message.Content{Type: message.TypeText, Text: p}
	}
	state, n, err := h.AnswerTurn(h.t.Context(), h.r.ChatID, h.r.TurnID.UUID, h.r.WorkflowID, h.r.Epoch,
		omni.Answer{Text: strings.Join(parts, "\n"), Parts: contents}, time.Minute, h.attempt())
	require.NoError(h.t, err)
	require.Equal(h.t, "closed", state)
	require.Equal(h.t, len(parts), n)
}

// deliver sends what is to be sent, and returns it.
func (h held) deliver(n int) (texts []string, finished bool) {
	h.t.Helper()
	for range n {
		c, err := h.ClaimPart(h.t.Context(), omni.ClaimParams{ChatID: h.r.ChatID, TurnID: h.r.TurnID.UUID, WorkflowID: h.r.WorkflowID,
			Epoch: h.r.Epoch, Sender: "me/1/2", TTL: time.Hour, StartedAt: time.Now()})
		require.NoError(h.t, err)
		require.Equal(h.t, "claimed", c.State, "%+v", c)
		texts = append(texts, c.Content.Text)
		finished, _, err = h.ReceiptPart(h.t.Context(), omni.ReceiptParams{ChatID: h.r.ChatID, MessageID: c.MessageID, Status: "sent",
			ExternalID: "x-" + c.MessageID.String(), TurnID: h.r.TurnID, WorkflowID: h.r.WorkflowID, Epoch: h.r.Epoch, FinishAs: "answered",
			Attempt: h.attempt()})
		require.NoError(h.t, err)
	}
	return texts, finished
}

func TestRetryAsksTheAgentAgain(t *testing.T) {
	t.Parallel()
	for name, fallback := range map[string][]string{"no fallback": nil, "after the fallback text": {"sorry", "really"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.instanceRow()
			e := w.receive("c1", "ana", "m1", "hello")
			v := w.join(e, 0)
			letter := w.agentDies(e, v, fallback...)
			require.Equal(t, "agent.Reply", letter.Step)
			require.Equal(t, "bad_credentials", letter.Cause)

			h := w.reopened(e, letter.ID)
			closed := h.close()
			require.Equal(t, "closed", closed.State)
			require.False(t, closed.Answered)
			require.Equal(t, closed, h.close(), "asked again it says the same")
			batch, err := w.TurnBatch(t.Context(), v.TurnID.UUID, closed.Epoch)
			require.NoError(t, err)
			require.Equal(t, "hello", batch[0].Text)
			h.answer("one", "two")
			texts, finished := h.deliver(2)
			require.True(t, finished)
			require.Equal(t, []string{"one", "two"}, texts)
			require.Equal(t, "answered", w.status(e.MessageID))
			require.Empty(t, w.letters("open"))

			replies, err := w.TurnReplies(t.Context(), v.TurnID.UUID)
			require.NoError(t, err)
			require.Len(t, replies, len(fallback)+2, "what was delivered stays")
			require.Equal(t, "two", replies[len(replies)-1].Content.Text)
			story := w.story(e.MessageID)
			require.Equal(t, 2, count(story, "turn.started"))
			require.Equal(t, 2, count(story, "agent.request"))
			require.Equal(t, 1, count(story, "turn.failed"))
			require.Equal(t, 1, count(story, "turn.completed"))
		})
	}
}

func TestRetrySendsOnlyWhatWasNotDelivered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.instanceRow()
	e := w.receive("c1", "ana", "m1", "hello")
	v := w.join(e, 0)
	w.answer(e, v, "one", "two", "three")
	letter := w.deliveryDies(e, v, 1)
	require.Equal(t, "deliver.Send", letter.Step)
	require.Equal(t, "rejected", letter.Cause)
	for _, part := range []string{"hello", `"one"`, `"two"`, `"three"`} {
		require.Contains(t, string(letter.Input), part, "the full input")
	}
	h := w.reopened(e, letter.ID)
	closed := h.close()
	require.True(t, closed.Answered)
	require.Equal(t, "adopted", w.claim(e, v, "me/1/3").State, "the former workflow has nothing to say any more")
	texts, finished := h.deliver(2)
	require.True(t, finished)
	require.Equal(t, []string{"two", "three"}, texts)
	require.Equal(t, "answered", w.status(e.MessageID))
	story := w.story(e.MessageID)
	require.Equal(t, 3, count(story, "message.sent"))
	require.Equal(t, 1, count(story, "agent.request"), "the agent is not asked")
	require.Equal(t, []string{omni.PartID(v.TurnID.UUID, 1).String()}, w.sentKeys(e)[1:2])
}

// sentKeys are the ids of the parts in the order of their receipts.
func (w *world) sentKeys(e omni.Envelope) (ids []string) {
	w.t.Helper()
	rows, err := w.Pool().Query(w.t.Context(), `SELECT subject FROM events WHERE correlation_id = $1 AND type = 'message.sent' ORDER BY xid, seq`, e.MessageID)
	require.NoError(w.t, err)
	defer rows.Close()
	for rows.Next() {
		var id string
		require.NoError(w.t, rows.Scan(&id))
		ids = append(ids, id)
	}
	require.NoError(w.t, rows.Err())
	return ids
}

// A retry that fails, too, leaves a dead letter of its own; the first one is
// not open again.
func TestRetryThatFailsAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.instanceRow()
	e := w.receive("c1", "ana", "m1", "hello")
	v := w.join(e, 0)
	first := w.agentDies(e, v)
	h := w.reopened(e, first.ID)
	h.close()
	_, _, err := w.GiveUpTurn(t.Context(), omni.TurnFailure{ChatID: h.r.ChatID, TurnID: h.r.TurnID.UUID, WorkflowID: h.r.WorkflowID,
		Epoch: h.r.Epoch, Error: "timed out: ScheduleToClose", Attempts: 4}, w.attempt())
	require.NoError(t, err)
	outcome, _, err := w.FinishTurn(t.Context(), omni.FinishParams{ChatID: h.r.ChatID, TurnID: h.r.TurnID.UUID, WorkflowID: h.r.WorkflowID,
		Epoch: h.r.Epoch, Outcome: "failed", Attempt: w.attempt()})
	require.NoError(t, err)
	require.Equal(t, "failed", outcome)
	open := w.letters("open")
	require.Len(t, open, 1)
	require.NotEqual(t, first.ID, open[0].ID)
	require.Equal(t, "timed_out", open[0].Cause)
	require.Equal(t, 4, open[0].Attempts)
	require.Equal(t, omni.RetryRetried, w.retry(first.ID).State)
	h = w.reopened(e, open[0].ID)
	require.Equal(t, 3, h.r.Epoch)
}

// Whoever delivers the fallback text in the end, it does not become the
// agent's answer.
func TestFallbackStaysAFallback(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.instanceRow()
	e := w.receive("c1", "ana", "m1", "hello")
	v := w.join(e, 0)
	_, _, err := w.GiveUpTurn(t.Context(), omni.TurnFailure{ChatID: e.ChatID(), TurnID: v.TurnID.UUID, WorkflowID: workflowOf(e),
		Epoch: v.Epoch, Error: "transient: away", Attempts: 2}, w.attempt())
	require.NoError(t, err)
	w.answer(e, v, "sorry")
	delivery := w.deliveryDies(e, v, 0)
	require.Equal(t, "deliver.Send", delivery.Step)
	require.Len(t, w.letters("open"), 2)
	h := w.reopened(e, delivery.ID)
	h.close()
	texts, finished := h.deliver(1)
	require.True(t, finished)
	require.Equal(t, []string{"sorry"}, texts)
	require.Equal(t, "failed", w.status(e.MessageID))
	var outcome string
	require.NoError(t, w.Pool().QueryRow(t.Context(), `SELECT outcome FROM turns WHERE id = $1`, v.TurnID).Scan(&outcome))
	require.Equal(t, "fallback", outcome)

	// The agent may still be asked.
	open := w.letters("open")
	require.Len(t, open, 1)
	h = w.reopened(e, open[0].ID)
	h.close()
	h.answer("the answer")
	texts, finished = h.deliver(1)
	require.True(t, finished)
	require.Equal(t, []string{"the answer"}, texts)
	require.Equal(t, "answered", w.status(e.MessageID))
}

// To ask the agent again settles the delivery of the fallback text.
func TestAskingAgainSupersedesTheFallback(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.instanceRow()
	e := w.receive("c1", "ana", "m1", "hello")
	v := w.join(e, 0)
	_, _, err := w.GiveUpTurn(t.Context(), omni.TurnFailure{ChatID: e.ChatID(), TurnID: v.TurnID.UUID, WorkflowID: workflowOf(e),
		Epoch: v.Epoch, Error: "transient: away", Attempts: 2}, w.attempt())
	require.NoError(t, err)
	w.answer(e, v, "sorry", "later")
	delivery := w.deliveryDies(e, v, 1)
	agent := w.letters("open")[1]
	require.Equal(t, "agent.Reply", agent.Step)
	h := w.reopened(e, agent.ID)
	require.Equal(t, omni.RetryResolved, w.retry(delivery.ID).State)
	h.close()
	h.answer("the answer")
	texts, finished := h.deliver(1)
	require.True(t, finished)
	require.Equal(t, []string{"the answer"}, texts, "not the rest of the fallback text")
	require.Equal(t, "failed", w.status(omni.PartID(v.TurnID.UUID, 1)), "what became of it stays on record")
}

func TestOfTwoRetriesOneReopens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.instanceRow()
	e := w.receive("c1", "ana", "m1", "hello")
	letter := w.agentDies(e, w.join(e, 0))
	const clicks = 16
	states := make(chan omni.RetryState, clicks)
	for range clicks {
		go func() {
			r, err := w.RetryDeadLetter(context.WithoutCancel(t.Context()), omni.DefaultTenant, letter.ID)
			if err != nil {
				states <- omni.RetryState(err.Error())
				return
			}
			states <- r.State
		}()
	}
	seen := map[omni.RetryState]int{}
	for range clicks {
		seen[<-states]++
	}
	require.Equal(t, map[omni.RetryState]int{omni.RetryReopened: 1, omni.RetryUnderWay: clicks - 1}, seen)
	again := w.retry(letter.ID)
	require.Equal(t, 2, again.Epoch, "a repeated retry names the same workflow")

	h := held{w, e, again}
	h.close()
	h.answer("one")
	h.deliver(1)
	require.Equal(t, omni.RetryRetried, w.retry(letter.ID).State)
	resolved, err := w.ResolveDeadLetter(t.Context(), omni.DefaultTenant, letter.ID)
	require.NoError(t, err)
	require.False(t, resolved)
}

// A reopened turn waits for its place: behind who answers, behind what is
// older, and before what is newer.
func TestReopenedTurnsKeepTheOrderOfTheChat(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.instanceRow()
	var dead []omni.Envelope
	var letters []omni.DeadLetter
	for _, id := range []string{"m1", "m2"} {
		e := w.receive("c1", "ana", id, id)
		dead = append(dead, e)
		letters = append(letters, w.agentDies(e, w.join(e, 0)))
	}
	busy := w.receive("c1", "ana", "m3", "m3")
	v3 := w.join(busy, 0)
	require.Equal(t, "closed", v3.State)
	second := w.reopened(dead[1], letters[1].ID) // in the wrong order
	first := w.reopened(dead[0], letters[0].ID)
	require.Equal(t, "behind", first.close().State)
	require.Equal(t, "behind", second.close().State)
	last := w.receive("c1", "ana", "m4", "m4")
	v4 := w.join(last, 0)
	require.Equal(t, "behind", v4.State)

	w.answer(busy, v3, "r3")
	_, wake := w.receipt(busy, v3, w.claim(busy, v3, "me/1/1"), "sent")
	require.ElementsMatch(t, []string{first.r.WorkflowID, second.r.WorkflowID, workflowOf(last)}, wake)
	require.Equal(t, "behind", w.closeTurn(last, v4).State, "newer than what is retried")
	require.Equal(t, "behind", second.close().State)
	require.Equal(t, "closed", first.close().State)
	first.answer("r1")
	first.deliver(1)
	require.Equal(t, "closed", second.close().State)
	require.Equal(t, "behind", w.closeTurn(last, v4).State)
	second.answer("r2")
	second.deliver(1)
	require.Equal(t, "closed", w.closeTurn(last, v4).State)
}

// Should nobody live to start its workflow, a reopened turn becomes overdue:
// it is adopted, and nobody waits behind it for ever.
func TestReopenedTurnIsAdopted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.instanceRow()
	e := w.receive("c1", "ana", "m1", "hello")
	letter := w.agentDies(e, w.join(e, 0))
	h := w.reopened(e, letter.ID)
	_, err := w.Pool().Exec(t.Context(), `UPDATE turns SET due_at = now() - interval '1 second'`)
	require.NoError(t, err)
	next := w.receive("c1", "ana", "m2", "and now?")
	v := w.join(next, 0)
	require.Equal(t, "behind", v.State)
	require.Equal(t, h.r.TurnID, v.Suspect)
	suspects, err := w.OverdueTurns(t.Context(), v.Suspect, 10)
	require.NoError(t, err)
	require.Len(t, suspects, 1)
	require.Equal(t, h.r.WorkflowID, suspects[0].WorkflowID)
	adopter := activities.TurnWorkflowID(h.r.TurnID.UUID, 3)
	epoch, ok, err := w.AdoptTurn(t.Context(), suspects[0], adopter)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, "adopted", h.close().State)
	require.Equal(t, adopter, w.retry(letter.ID).WorkflowID, "a repeated retry names who has it now")
	h.r.WorkflowID, h.r.Epoch = adopter, epoch
	require.Equal(t, "closed", h.close().State)
}

func TestRetryIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.instanceRow()
	e := w.receive("c1", "ana", "m1", "hello")
	letter := w.agentDies(e, w.join(e, 0))
	_, err := w.RetryDeadLetter(t.Context(), "another tenant", letter.ID)
	require.ErrorIs(t, err, omni.ErrNotFound)

	_, err = w.TakeoverChat(t.Context(), e.ChatID(), omni.Takeover{Reason: "by call"})
	require.NoError(t, err)
	require.Equal(t, omni.RetryPaused, w.retry(letter.ID).State)
	require.Equal(t, "failed", w.status(e.MessageID))
	past := time.Now().Add(-time.Second)
	_, err = w.TakeoverChat(t.Context(), e.ChatID(), omni.Takeover{Until: &past, Reason: "by call"}) // over already
	require.NoError(t, err)

	h := w.reopened(e, letter.ID)
	turns, err := w.TakeoverChat(t.Context(), e.ChatID(), omni.Takeover{Reason: "by call"})
	require.NoError(t, err)
	require.Equal(t, []uuid.UUID{h.r.TurnID.UUID}, turns, "a person comes before a retry that waits")
	require.Equal(t, "cancelled", h.close().State)
	require.Equal(t, "cancelled", w.status(e.MessageID))
	require.NoError(t, w.ResumeChat(t.Context(), e.ChatID(), ""))

	e2 := w.receive("c1", "ana", "m2", "hello")
	letter = w.agentDies(e2, w.join(e2, 0))
	resolved, err := w.ResolveDeadLetter(t.Context(), omni.DefaultTenant, letter.ID)
	require.NoError(t, err)
	require.True(t, resolved)
	require.Equal(t, omni.RetryResolved, w.retry(letter.ID).State)

	e3 := w.receive("c1", "ana", "m3", "hello")
	letter = w.agentDies(e3, w.join(e3, 0))
	_, err = w.Pool().Exec(t.Context(), `UPDATE instances SET deleted_at = now()`)
	require.NoError(t, err)
	require.Equal(t, omni.RetryGone, w.retry(letter.ID).State)
}

// The first workflow, run again after a kill, finds that the turn is not its
// own any more.
func TestFormerWorkflowLeavesAReopenedTurnAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.instanceRow()
	e := w.receive("c1", "ana", "m1", "hello")
	v := w.join(e, 0)
	h := w.reopened(e, w.agentDies(e, v).ID)
	require.Equal(t, "adopted", w.join(e, 0).State)
	require.Equal(t, "adopted", w.closeTurn(e, v).State)
	require.Equal(t, "adopted", w.finish(e, v, "failed", ""))
	require.Equal(t, "closed", h.close().State)
	require.Equal(t, "adopted", w.finish(e, v, "failed", ""))
}

// A message sent by API that a channel refuses for good is a dead letter, too.
func TestRetryOfAMessageSentByAPI(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.instanceRow()
	key := uuid.NewString()
	acc, err := w.AcceptOutbound(t.Context(), omni.OutboundDraft{ID: omni.OutboundID(omni.DefaultTenant, key), TenantID: omni.DefaultTenant,
		InstanceID: w.instance, Channel: "custom", Chat: message.Chat{ID: "c1", Type: message.ChatDM},
		Content: message.Content{Type: message.TypeText, Text: "your order"}, KeyHash: []byte(key), BodyHash: []byte("b")})
	require.NoError(t, err)
	send := func(status string, ttl time.Duration) string {
		c, err := w.ClaimOutbound(t.Context(), omni.ClaimParams{ChatID: acc.ChatID, MessageID: acc.MessageID, Sender: "me/1/1", TTL: ttl,
			StartedAt: time.Now()})
		require.NoError(t, err)
		if c.State == "claimed" {
			_, _, err = w.ReceiptPart(t.Context(), omni.ReceiptParams{ChatID: acc.ChatID, MessageID: acc.MessageID, Status: status,
				Error: "not_found: blocked", Attempt: w.attempt()})
			require.NoError(t, err)
		}
		return c.State
	}
	require.Equal(t, "claimed", send("failed", time.Hour))
	open := w.letters("open")
	require.Len(t, open, 1)
	require.Equal(t, "not_found", open[0].Cause)
	require.Equal(t, acc.MessageID, *open[0].MessageID)
	require.Nil(t, open[0].TurnID)
	require.Contains(t, string(open[0].Input), "your order")

	_, err = w.Pool().Exec(t.Context(), `UPDATE messages SET created_at = now() - interval '2 days' WHERE id = $1`, acc.MessageID)
	require.NoError(t, err)
	r := w.retry(open[0].ID)
	require.Equal(t, omni.RetryReopened, r.State)
	require.False(t, r.TurnID.Valid)
	require.Equal(t, acc.MessageID, r.MessageID)
	require.Equal(t, omni.RetryUnderWay, w.retry(open[0].ID).State)
	require.Equal(t, "claimed", send("sent", 24*time.Hour), "its time counts from the retry on")
	require.Equal(t, "sent", w.status(acc.MessageID))
	require.Equal(t, omni.RetryRetried, w.retry(open[0].ID).State)
	require.Equal(t, "done", send("sent", time.Hour))
}

// What was retried and is not known to go on is found again, until it is.
func TestUnstartedRetriesAreFound(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.instanceRow()
	e := w.receive("c1", "ana", "m1", "hello")
	letter := w.agentDies(e, w.join(e, 0))
	w.reopened(e, letter.ID)
	unstarted := func(olderThan time.Duration) []omni.DeadLetterRef {
		refs, err := w.UnstartedDeadLetters(t.Context(), olderThan, 10)
		require.NoError(t, err)
		return refs
	}
	require.Equal(t, []omni.DeadLetterRef{{TenantID: omni.DefaultTenant, ID: letter.ID}}, unstarted(0))
	require.Empty(t, unstarted(time.Minute))
	require.NoError(t, w.MarkDeadLetterStarted(t.Context(), omni.DefaultTenant, letter.ID))
	require.Empty(t, unstarted(0))
}

// Of a message sent by API in several parts, a retry sends the one that failed
// and what was behind it.
func TestRetryOfAPartSentByAPI(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.instanceRow()
	acc := w.longMessage(nil)
	w.receiptOutbound(acc, w.claimOutbound(acc, 0), "sent")
	w.receiptOutbound(acc, w.claimOutbound(acc, 1), "failed")
	letter := w.letters("open")[0]
	require.Equal(t, omni.OutboundPartID(acc.MessageID, 1), *letter.MessageID)
	require.Equal(t, omni.RetryBusy, w.retry(letter.ID).State, "its workflow has not come to the last part")
	require.Equal(t, "cancelled", w.claimOutbound(acc, 2).State)
	r := w.retry(letter.ID)
	require.Equal(t, omni.RetryReopened, r.State)
	require.Equal(t, acc.MessageID, r.MessageID, "the workflow is that of the whole message")
	require.Equal(t, 3, r.Parts)
	require.Equal(t, []string{"sent", "queued", "queued"}, w.partStatuses(acc))
	require.Equal(t, "done", w.claimOutbound(acc, 0).State)
	for i, text := range []string{"two", "three"} {
		c := w.claimOutbound(acc, i+1)
		require.Equal(t, "claimed", c.State)
		require.Equal(t, text, c.Content.Text)
		w.receiptOutbound(acc, c, "sent")
	}
	require.Equal(t, omni.RetryRetried, w.retry(letter.ID).State)
}
