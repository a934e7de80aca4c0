package store_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/internal/omni"
)

// joinBusy joins where the instance interrupts.
func (w *world) joinBusy(e omni.Envelope, quiet time.Duration) omni.TurnView {
	w.t.Helper()
	p := w.joinParams(e, quiet)
	p.Interrupt = true
	v, err := w.JoinTurn(w.t.Context(), p)
	require.NoError(w.t, err)
	return v
}

func (w *world) yieldParams(e omni.Envelope, v omni.TurnView, from uuid.UUID) omni.YieldParams {
	return omni.YieldParams{ChatID: e.ChatID(), TurnID: v.TurnID.UUID, WorkflowID: workflowOf(e), Epoch: v.Epoch, From: from,
		Closing: omni.ClosingParams{Provider: "echo", AnswerWithin: time.Minute, MediaWithin: time.Minute}, Attempt: w.attempt()}
}

func (w *world) yield(e omni.Envelope, v omni.TurnView, from uuid.NullUUID) omni.TurnView {
	w.t.Helper()
	out, err := w.YieldTurn(w.t.Context(), w.yieldParams(e, v, from.UUID))
	require.NoError(w.t, err)
	return out
}

func (w *world) texts(v omni.TurnView) []string {
	w.t.Helper()
	batch, err := w.TurnBatch(w.t.Context(), v.TurnID.UUID, v.Epoch)
	require.NoError(w.t, err)
	texts := make([]string, len(batch))
	for i, m := range batch {
		texts[i] = m.Text
	}
	return texts
}

func TestYieldMakesOneTurnOfBothBatches(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.receive("c1", "ana", "m1", "one")
	v1 := w.join(first, 0)
	second := w.receive("c1", "ana", "m2", "two")
	v2 := w.joinBusy(second, 0)
	require.Equal(t, "behind", v2.State)
	require.Equal(t, v1.TurnID, v2.Interrupt, "join names the turn to interrupt")
	require.Equal(t, v2, w.joinBusy(second, 0), "and again, when it runs again")

	got := w.yield(second, v2, v2.Interrupt)
	require.Equal(t, "closed", got.State)
	require.Equal(t, v1.TurnID, got.Interrupt, "its call is to be cut")
	require.Equal(t, []string{"one", "two"}, w.texts(got))
	require.Equal(t, got, w.yield(second, v2, v2.Interrupt), "run again it says the same, so that the cut is made after all")
	require.False(t, w.joinBusy(second, 0).Interrupt.Valid)

	// The workflow of the first message finds its turn gone.
	state, _ := w.answer(first, v1, "late")
	require.Equal(t, "cancelled", state)
	require.Equal(t, "cancelled", w.claim(first, v1, "me/1/1").State)
	outcome, _, err := w.FinishTurn(t.Context(), omni.FinishParams{ChatID: first.ChatID(), TurnID: v1.TurnID.UUID, WorkflowID: workflowOf(first),
		Epoch: v1.Epoch, Outcome: "cancelled", Attempt: w.attempt()})
	require.NoError(t, err)
	require.Equal(t, "interrupted", outcome)
	require.Equal(t, "processing", w.status(first.MessageID), "its message is still to be answered")
	seen := w.join(first, 0)
	require.Equal(t, "follower", seen.State)
	require.Equal(t, v2.TurnID, seen.TurnID)
	require.Equal(t, second.MessageID, seen.Leader.UUID)

	w.answer(second, got, "both")
	finished, _ := w.receipt(second, got, w.claim(second, got, "me/1/2"), "sent")
	require.True(t, finished)
	require.Equal(t, "answered", w.status(first.MessageID))
	require.Equal(t, "answered", w.status(second.MessageID))
	require.Equal(t, 1, count(w.story(first.MessageID), "turn.cancelled"))
	require.Equal(t, 1, count(w.story(second.MessageID), "turn.completed"))
}

// What was delivered stays, what was not is cancelled, and the agent is told
// of it between the messages that it answers.
func TestYieldBetweenTwoParts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.receive("c1", "ana", "m1", "one")
	v1 := w.join(first, 0)
	w.answer(first, v1, "a", "b", "c")
	w.receipt(first, v1, w.claim(first, v1, "me/1/1"), "sent")
	handed := w.claim(first, v1, "me/1/1")
	second := w.receive("c1", "ana", "m2", "two")
	v2 := w.joinBusy(second, 0)
	v2 = w.yield(second, v2, v2.Interrupt)
	require.Equal(t, "closed", v2.State)
	require.Equal(t, "sent", w.status(omni.PartID(v1.TurnID.UUID, 0)))
	require.Equal(t, "sending", w.status(omni.PartID(v1.TurnID.UUID, 1)), "it has been handed over")
	require.Equal(t, "cancelled", w.status(omni.PartID(v1.TurnID.UUID, 2)))
	w.receipt(first, v1, handed, "sent")
	require.Equal(t, "sent", w.status(omni.PartID(v1.TurnID.UUID, 1)))
	require.Equal(t, "cancelled", w.claim(first, v1, "me/1/1").State)

	for _, past := range []int{0, 10} {
		told, err := w.AgentTurn(t.Context(), v2.TurnID.UUID, workflowOf(second), v2.Epoch, omni.Memory{Messages: past})
		require.NoError(t, err)
		require.Len(t, told.History, 2, "also an agent without memory is told what it has said of this answer")
		for i, text := range []string{"a", "b"} {
			require.Equal(t, text, told.History[i].Text)
			require.True(t, told.History[i].FromAgent)
			require.Equal(t, int64(first.Seq), told.History[i].AfterSeq)
		}
	}
}

func TestYieldComesTooLateForTheLastPart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.receive("c1", "ana", "m1", "one")
	v1 := w.join(first, 0)
	w.answer(first, v1, "a", "b")
	w.receipt(first, v1, w.claim(first, v1, "me/1/1"), "sent")
	second := w.receive("c1", "ana", "m2", "two")
	v2 := w.joinBusy(second, 0)
	require.Equal(t, v1.TurnID, v2.Interrupt)
	last := w.claim(first, v1, "me/1/1")

	require.False(t, w.joinBusy(second, 0).Interrupt.Valid, "join says so by now")
	late := w.yield(second, v2, v2.Interrupt)
	require.Equal(t, "behind", late.State, "the leader finishes")
	require.False(t, late.Interrupt.Valid)
	finished, wake := w.receipt(first, v1, last, "sent")
	require.True(t, finished)
	require.Equal(t, []string{workflowOf(second)}, wake)
	require.Equal(t, "closed", w.yield(second, v2, v2.Interrupt).State)
	require.Equal(t, []string{"two"}, w.texts(v2))
	require.Equal(t, "answered", w.status(first.MessageID))
}

func TestYieldAtMostThreeTimesPerMessage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.receive("c1", "ana", "m0", "0")
	v := w.join(e, 0)
	for i := range 3 {
		next := w.receive("c1", "ana", fmt.Sprint("m", i+1), fmt.Sprint(i+1))
		n := w.joinBusy(next, 0)
		require.Equal(t, v.TurnID, n.Interrupt)
		n = w.yield(next, n, n.Interrupt)
		require.Equal(t, "closed", n.State)
		e, v = next, n
	}
	require.Equal(t, []string{"0", "1", "2", "3"}, w.texts(v))
	last := w.receive("c1", "ana", "m4", "4")
	behind := w.joinBusy(last, 0)
	require.Equal(t, "behind", behind.State)
	require.False(t, behind.Interrupt.Valid)
	require.Equal(t, "behind", w.yield(last, behind, v.TurnID).State)
	w.answer(e, v, "at last")
	finished, wake := w.receipt(e, v, w.claim(e, v, "me/1/1"), "sent")
	require.True(t, finished)
	require.Equal(t, []string{workflowOf(last)}, wake)
}

// The parts of every turn that was interrupted on the way are told.
func TestYieldNamesTheHeir(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.receive("c1", "ana", "m1", "one")
	a := w.joinBusy(first, 0)
	heir, _, err := w.YieldedTo(t.Context(), a.TurnID.UUID)
	require.NoError(t, err)
	require.False(t, heir.Valid)
	for i, text := range []string{"two", "three"} {
		next := w.receive("c1", "ana", fmt.Sprint("m", i+2), text)
		v := w.joinBusy(next, 0)
		require.True(t, v.Interrupt.Valid)
		v = w.yield(next, v, v.Interrupt)
		heir, leader, err := w.YieldedTo(t.Context(), a.TurnID.UUID)
		require.NoError(t, err)
		require.Equal(t, v.TurnID, heir, "the last of them")
		require.Equal(t, next.MessageID, leader.UUID)
		related, err := w.RelatedTurns(t.Context(), v.TurnID.UUID)
		require.NoError(t, err)
		require.Len(t, related, i+1, "its past is its trace")
	}
}

func TestYieldTellsOfEveryTurnInterrupted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.receive("c1", "ana", "m0", "0")
	v := w.join(e, 0)
	var seqs []int64
	for i := range 2 {
		w.answer(e, v, fmt.Sprint("part ", i), "rest")
		w.receipt(e, v, w.claim(e, v, "me/1/1"), "sent")
		seqs = append(seqs, int64(e.Seq))
		next := w.receive("c1", "ana", fmt.Sprint("m", i+1), "more")
		n := w.joinBusy(next, 0)
		v = w.yield(next, n, n.Interrupt)
		require.Equal(t, "closed", v.State)
		e = next
	}
	told, err := w.AgentTurn(t.Context(), v.TurnID.UUID, workflowOf(e), v.Epoch, omni.Memory{Messages: 10})
	require.NoError(t, err)
	require.Len(t, told.History, 2)
	for i, m := range told.History {
		require.Equal(t, fmt.Sprint("part ", i), m.Text)
		require.Equal(t, seqs[i], m.AfterSeq)
	}
}

// One person's message does not take another person's conversation.
func TestYieldKeepsConversationsApart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.receive("c1", "ana", "m1", "one")
	v1 := w.join(first, 0)
	second := w.receive("c1", "ben", "m2", "two")
	p := w.joinParams(second, 0)
	p.SessionKey, p.Interrupt = "chat/ben", true
	v2, err := w.JoinTurn(t.Context(), p)
	require.NoError(t, err)
	require.Equal(t, "behind", v2.State)
	require.False(t, v2.Interrupt.Valid)
	require.Equal(t, "behind", w.yield(second, v2, v1.TurnID).State)
	other := w.receive("c2", "ana", "m3", "three")
	v3 := w.join(other, time.Minute)
	require.Equal(t, "wait", w.yield(other, v3, v1.TurnID).State)
	require.Equal(t, "closed", w.join(first, 0).State)
}

// With a debounce the other turn is interrupted at once; the answer to both
// waits for quiet.
func TestYieldDoesNotWaitForQuiet(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.receive("c1", "ana", "m1", "one")
	v1 := w.join(first, 0)
	second := w.receive("c1", "ana", "m2", "two")
	v2 := w.joinBusy(second, time.Minute)
	require.Equal(t, "leader", v2.State)
	require.Equal(t, v1.TurnID, v2.Interrupt)
	got := w.yield(second, v2, v2.Interrupt)
	require.Equal(t, "wait", got.State)
	require.Greater(t, got.Wait, 50*time.Second)
	require.Equal(t, "cancelled", w.claim(first, v1, "me/1/1").State)
}

// A claim and a yield at the same time: either the last part goes out and the
// turn is the first one's, or it does not and both messages are the second's.
func TestYieldAgainstTheClaimOfTheLastPart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	outcomes := map[string]int{}
	for i := range 40 {
		chat := fmt.Sprint("c", i)
		first := w.receive(chat, "ana", chat+"m1", "one")
		v1 := w.join(first, 0)
		w.answer(first, v1, "only")
		second := w.receive(chat, "ana", chat+"m2", "two")
		v2 := w.joinBusy(second, 0)
		p := w.yieldParams(second, v2, v1.TurnID.UUID)
		var claim omni.PartClaim
		var yielded omni.TurnView
		atOnce(t, w.claims(first, v1, workflowOf(first), "me/1/1", &claim),
			func(ctx context.Context) (err error) { yielded, err = w.YieldTurn(ctx, p); return err })
		outcomes[claim.State]++
		switch claim.State {
		case "claimed":
			require.Equal(t, "behind", yielded.State)
			finished, _ := w.receipt(first, v1, claim, "sent")
			require.True(t, finished)
		default:
			require.Equal(t, "cancelled", claim.State)
			require.Equal(t, "closed", yielded.State)
			require.Equal(t, []string{"one", "two"}, w.texts(yielded))
			require.Equal(t, "cancelled", w.status(omni.PartID(v1.TurnID.UUID, 0)))
		}
	}
	t.Log(outcomes)
}

// An adopted leader is interrupted like any other; one that was adopted itself
// interrupts nobody.
func TestYieldAndAdoption(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.receive("c1", "ana", "m1", "one")
	v1 := w.join(first, 0)
	_, err := w.Pool().Exec(t.Context(), `UPDATE turns SET due_at = now() - interval '1 second'`)
	require.NoError(t, err)
	suspects, err := w.OverdueTurns(t.Context(), uuid.NullUUID{}, 1)
	require.NoError(t, err)
	_, ok, err := w.AdoptTurn(t.Context(), suspects[0], "turn/x/2")
	require.NoError(t, err)
	require.True(t, ok)
	second := w.receive("c1", "ana", "m2", "two")
	v2 := w.joinBusy(second, 0)
	require.Equal(t, v1.TurnID, v2.Interrupt)
	stale := w.yieldParams(second, v2, v1.TurnID.UUID)
	stale.WorkflowID = "message/another"
	v, err := w.YieldTurn(t.Context(), stale)
	require.NoError(t, err)
	require.Equal(t, "adopted", v.State)
	require.False(t, v.Interrupt.Valid)
	require.Equal(t, "closed", w.yield(second, v2, v2.Interrupt).State)
	c, err := w.ClaimPart(t.Context(), omni.ClaimParams{ChatID: first.ChatID(), TurnID: v1.TurnID.UUID, WorkflowID: "turn/x/2", Epoch: 2,
		Sender: "me/1/1", TTL: time.Hour, StartedAt: time.Now()})
	require.NoError(t, err)
	require.Equal(t, "cancelled", c.State)
}
