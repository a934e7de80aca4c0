package store_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/store"
	"github.com/omnihub/omni/internal/testkit"
)

// world is a database with one instance and a stream that counts.
type world struct {
	*store.Store
	t        *testing.T
	instance uuid.UUID
	seq      uint64
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return newWorldWith(t)
}

// newWorldWith sets parameters of its connections ("name=value").
func newWorldWith(t *testing.T, parameters ...string) *world {
	t.Helper()
	st, err := store.Open(t.Context(), withParameters(testkit.Postgres(t), parameters...), 8)
	require.NoError(t, err)
	t.Cleanup(st.Close)
	return &world{Store: st, t: t, instance: uuid.New()}
}

// inbound makes the next event of the stream.
func (w *world) inbound(chat, sender, id, text string) omni.Envelope {
	w.seq++
	e := omni.Envelope{TenantID: omni.DefaultTenant, InstanceID: w.instance, Channel: "custom", ReceivedAt: time.Now(), Seq: w.seq,
		Event: message.Inbound{ID: id, Kind: message.KindMessage, Timestamp: time.Now(), Chat: message.Chat{ID: chat},
			Sender: message.Sender{ID: sender, Name: sender}, Content: message.Content{Type: message.TypeText, Text: text}}}
	e.MessageID = omni.MessageID(w.instance, e.ExternalKey())
	return e
}

func (w *world) record(es ...omni.Envelope) {
	w.t.Helper()
	require.NoError(w.t, w.Record(w.t.Context(), es, w.seq))
}

// receive records a message and takes it through resolve and check.
func (w *world) receive(chat, sender, id, text string) omni.Envelope {
	w.t.Helper()
	e := w.inbound(chat, sender, id, text)
	w.record(e)
	w.admit(e)
	return e
}

func (w *world) admit(e omni.Envelope) {
	w.t.Helper()
	_, err := w.CheckMessage(w.t.Context(), e.MessageID, omni.PlanAccess("blocklist", nil, &omni.AccessFacts{}, time.Now()), w.attempt())
	require.NoError(w.t, err)
}

func (w *world) attempt() omni.Attempt { return omni.Attempt{StartedAt: time.Now(), Number: 1} }

func workflowOf(e omni.Envelope) string { return "message/" + e.MessageID.String() }

func (w *world) joinParams(e omni.Envelope, quiet time.Duration) omni.JoinParams {
	return omni.JoinParams{ChatID: e.ChatID(), MessageID: e.MessageID, SessionKey: "chat", Agent: "instance",
		WorkflowID: workflowOf(e), TurnID: omni.TurnID(e.MessageID, 0), Quiet: quiet, QuietCap: time.Minute, Close: quiet == 0,
		Closing: omni.ClosingParams{Provider: "echo", AnswerWithin: time.Minute, MediaWithin: time.Minute}, Attempt: w.attempt()}
}

func (w *world) join(e omni.Envelope, quiet time.Duration) omni.TurnView {
	w.t.Helper()
	v, err := w.JoinTurn(w.t.Context(), w.joinParams(e, quiet))
	require.NoError(w.t, err)
	return v
}

func (w *world) closeTurn(e omni.Envelope, v omni.TurnView) omni.TurnView {
	w.t.Helper()
	out, err := w.CloseTurn(w.t.Context(), e.ChatID(), v.TurnID.UUID, workflowOf(e), v.Epoch,
		omni.ClosingParams{Provider: "echo", AnswerWithin: time.Minute, MediaWithin: time.Minute}, w.attempt())
	require.NoError(w.t, err)
	return out
}

func (w *world) answer(e omni.Envelope, v omni.TurnView, parts ...string) (string, int) {
	w.t.Helper()
	contents := make([]message.Content, len(parts))
	for i, p := range parts {
		contents[i] = message.Content{Type: message.TypeText, Text: p}
	}
	state, n, err := w.AnswerTurn(w.t.Context(), e.ChatID(), v.TurnID.UUID, workflowOf(e), v.Epoch,
		omni.Answer{Text: fmt.Sprint(parts), Parts: contents, Took: 7 * time.Millisecond}, time.Minute, w.attempt())
	require.NoError(w.t, err)
	return state, n
}

func (w *world) claim(e omni.Envelope, v omni.TurnView, sender string) (c omni.PartClaim) {
	w.t.Helper()
	require.NoError(w.t, w.claims(e, v, workflowOf(e), sender, &c)(w.t.Context()))
	return c
}

// claims is a claim of the turn's next part, by the workflow that holds it.
func (w *world) claims(e omni.Envelope, v omni.TurnView, workflow, sender string, into *omni.PartClaim) func(ctx context.Context) error {
	return func(ctx context.Context) (err error) {
		*into, err = w.ClaimPart(ctx, omni.ClaimParams{ChatID: e.ChatID(), TurnID: v.TurnID.UUID, WorkflowID: workflow,
			Epoch: v.Epoch, Sender: sender, TTL: time.Hour, StartedAt: time.Now()})
		return err
	}
}

// atOnce lets all run at the same moment. None may fail.
func atOnce(t *testing.T, all ...func(ctx context.Context) error) {
	t.Helper()
	ctx, start := context.WithoutCancel(t.Context()), make(chan struct{})
	errs := make([]error, len(all))
	var wg sync.WaitGroup
	for i, fn := range all {
		wg.Go(func() {
			<-start
			errs[i] = fn(ctx)
		})
	}
	close(start)
	wg.Wait()
	require.NoError(t, errors.Join(errs...))
}

func (w *world) receipt(e omni.Envelope, v omni.TurnView, c omni.PartClaim, status string) (bool, []string) {
	w.t.Helper()
	finished, wake, err := w.ReceiptPart(w.t.Context(), omni.ReceiptParams{ChatID: e.ChatID(), MessageID: c.MessageID, Status: status,
		ExternalID: "x-" + c.MessageID.String(), TurnID: v.TurnID, WorkflowID: workflowOf(e), Epoch: v.Epoch, FinishAs: "answered",
		Attempt: w.attempt()})
	require.NoError(w.t, err)
	return finished, wake
}

func (w *world) status(id uuid.UUID) string {
	w.t.Helper()
	var s string
	require.NoError(w.t, w.Pool().QueryRow(w.t.Context(), `SELECT status FROM messages WHERE id = $1`, id).Scan(&s))
	return s
}

// story lists the types of a message's events, in the order of the log.
func (w *world) story(correlation uuid.UUID) []string {
	w.t.Helper()
	rows, err := w.Pool().Query(w.t.Context(), `SELECT type FROM events WHERE correlation_id = $1 ORDER BY xid, seq`, correlation)
	require.NoError(w.t, err)
	defer rows.Close()
	var types []string
	for rows.Next() {
		var s string
		require.NoError(w.t, rows.Scan(&s))
		types = append(types, s)
	}
	require.NoError(w.t, rows.Err())
	return types
}

func TestTurnFromMessageToReceipt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.receive("c1", "ana", "m1", "hello")
	v := w.join(e, 0)
	require.Equal(t, "closed", v.State)
	batch, err := w.TurnBatch(t.Context(), v.TurnID.UUID, v.Epoch)
	require.NoError(t, err)
	require.Len(t, batch, 1)
	require.Equal(t, "hello", batch[0].Text)

	state, n := w.answer(e, v, "one", "two")
	require.Equal(t, "closed", state)
	require.Equal(t, 2, n)
	for i := range 2 {
		c := w.claim(e, v, "me/1/1")
		require.Equal(t, "claimed", c.State)
		require.Equal(t, i, c.Part.Index)
		require.Equal(t, "sending", w.status(c.MessageID))
		finished, _ := w.receipt(e, v, c, "sent")
		require.Equal(t, i == 1, finished)
	}
	require.Equal(t, "done", w.claim(e, v, "me/1/1").State)
	require.Equal(t, "answered", w.status(e.MessageID))
	require.Equal(t, []string{"identity.created", "message.received", "identity.resolved", "access.checked", "turn.started",
		"agent.request", "agent.response", "message.sending", "message.sent", "message.sending", "message.sent", "turn.completed"},
		w.story(e.MessageID))
}

// Everything since the last completed workflow task may run again: each call
// then says what is true, and writes nothing twice.
func TestStepsRunAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.receive("c1", "ana", "m1", "hello")
	w.record(e)
	w.admit(e)
	v := w.join(e, 0)
	require.Equal(t, v, w.join(e, 0))
	_, n := w.answer(e, v, "one")
	state, again := w.answer(e, v, "another", "answer")
	require.Equal(t, "closed", state)
	require.Equal(t, n, again, "the first stored answer wins")

	c := w.claim(e, v, "me/1/1")
	require.Equal(t, "resume", w.claim(e, v, "me/1/1").State, "handed over or not: find out")
	finished, _ := w.receipt(e, v, c, "sent")
	require.True(t, finished)
	w.receipt(e, v, c, "sent")
	require.Equal(t, "finished", w.join(e, 0).State)
	outcome, _, err := w.FinishTurn(t.Context(), omni.FinishParams{ChatID: e.ChatID(), TurnID: v.TurnID.UUID, WorkflowID: workflowOf(e),
		Epoch: v.Epoch, Outcome: "failed", Attempt: w.attempt()})
	require.NoError(t, err)
	require.Equal(t, "answered", outcome, "the outcome stands")
	seen := map[string]int{}
	for _, typ := range w.story(e.MessageID) {
		seen[typ]++
	}
	for typ, count := range seen {
		require.Equal(t, 1, count, typ)
	}
}

func TestBurstHasOneLeaderAndWaitsForQuiet(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.receive("c1", "ana", "m1", "one")
	v := w.join(first, time.Hour)
	require.Equal(t, "leader", v.State)
	require.Greater(t, v.Wait, 59*time.Second, "the debounce is capped from the first message")
	second := w.receive("c1", "ben", "m2", "two")
	f := w.join(second, 0)
	require.Equal(t, "follower", f.State)
	require.Equal(t, v.TurnID, f.TurnID)
	require.Equal(t, first.MessageID, f.Leader.UUID)
	require.Equal(t, "follower", w.join(second, 0).State)

	require.Equal(t, "wait", w.closeTurn(first, v).State, "the debounce is the turn's")
	w.age(v.TurnID.UUID, time.Minute)
	closed := w.closeTurn(first, v)
	require.Equal(t, "closed", closed.State)
	batch, err := w.TurnBatch(t.Context(), v.TurnID.UUID, v.Epoch)
	require.NoError(t, err)
	require.Len(t, batch, 2)
	require.Equal(t, []string{"one", "two"}, []string{batch[0].Text, batch[1].Text})
	require.Equal(t, []string{"ana", "ben"}, []string{batch[0].SenderName, batch[1].SenderName})
}

func TestSecondTurnWaitsBehindTheFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.receive("c1", "ana", "m1", "one")
	v1 := w.join(first, 0)
	second := w.receive("c1", "ana", "m2", "two")
	v2 := w.join(second, 0)
	require.Equal(t, "behind", v2.State)
	require.False(t, v2.Suspect.Valid)
	w.answer(first, v1, "r1")
	finished, wake := w.receipt(first, v1, w.claim(first, v1, "me/1/1"), "sent")
	require.True(t, finished)
	require.Equal(t, []string{workflowOf(second)}, wake)
	require.Equal(t, "closed", w.closeTurn(second, v2).State)
}

// A message that is recorded but has not joined yet, or is not even recorded,
// comes before a later one of the same chat.
func TestCloseKeepsTheOrderOfTheStream(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	early := w.inbound("c1", "ana", "m1", "one")
	late := w.inbound("c1", "ana", "m2", "two")
	require.NoError(t, w.Record(t.Context(), []omni.Envelope{late}, 0))
	w.admit(late)
	v := w.join(late, 0)
	require.Equal(t, "wait", v.State, "the floor has not passed the message")
	w.record(early)
	require.Equal(t, "wait", w.join(late, 0).State, "the earlier message has not joined")
	w.admit(early)
	require.Equal(t, "closed", w.join(early, 0).State, "the first message leads")
	require.Equal(t, "follower", w.join(late, 0).State)
	batch, err := w.TurnBatch(t.Context(), v.TurnID.UUID, v.Epoch)
	require.NoError(t, err)
	require.Equal(t, []string{"one", "two"}, []string{batch[0].Text, batch[1].Text})
}

func TestTakeoverStopsTheParts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.receive("c1", "ana", "m1", "hello")
	v := w.join(e, 0)
	w.answer(e, v, "one", "two")
	c := w.claim(e, v, "me/1/1")
	_, err := w.Pool().Exec(t.Context(), `SELECT chat_takeover($1, NULL, 'by call')`, e.ChatID())
	require.NoError(t, err)
	finished, _ := w.receipt(e, v, c, "sent")
	require.False(t, finished)
	require.Equal(t, "sent", w.status(c.MessageID), "the part already handed over went out")
	require.Equal(t, "cancelled", w.claim(e, v, "me/1/1").State)
	require.Equal(t, "cancelled", w.status(e.MessageID))
	require.Equal(t, "cancelled", w.status(omni.PartID(v.TurnID.UUID, 1)))
	require.Equal(t, "paused", w.join(w.receive("c1", "ana", "m2", "hello?"), 0).State)
}

func TestOverdueTurnIsAdoptedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.receive("c1", "ana", "m1", "hello")
	v := w.join(e, 0)
	w.answer(e, v, "one", "two")
	w.receipt(e, v, w.claim(e, v, "me/1/1"), "sent")
	_, err := w.Pool().Exec(t.Context(), `UPDATE turns SET due_at = now() - interval '1 second'`)
	require.NoError(t, err)
	suspects, err := w.OverdueTurns(t.Context(), uuid.NullUUID{}, 10)
	require.NoError(t, err)
	require.Len(t, suspects, 1)
	require.NoError(t, w.PostponeTurn(t.Context(), v.TurnID.UUID, time.Minute))
	_, ok, err := w.AdoptTurn(t.Context(), suspects[0], "turn/x/2")
	require.NoError(t, err)
	require.False(t, ok, "a sign of life came meanwhile")
	_, err = w.Pool().Exec(t.Context(), `UPDATE turns SET due_at = now() - interval '1 second'`)
	require.NoError(t, err)
	epoch, ok, err := w.AdoptTurn(t.Context(), suspects[0], "turn/x/2")
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, 2, epoch)
	_, ok, err = w.AdoptTurn(t.Context(), suspects[0], "turn/x/2")
	require.NoError(t, err)
	require.False(t, ok, "somebody was quicker")

	require.Equal(t, "adopted", w.claim(e, v, "me/1/2").State)
	require.Equal(t, "adopted", w.join(e, 0).State)
	c, err := w.ClaimPart(t.Context(), omni.ClaimParams{ChatID: e.ChatID(), TurnID: v.TurnID.UUID, WorkflowID: "turn/x/2", Epoch: 2,
		Sender: "me/1/3", TTL: time.Hour, StartedAt: time.Now()})
	require.NoError(t, err)
	require.Equal(t, "claimed", c.State)
	require.Equal(t, 1, c.Part.Index, "it goes on from the first unsent part")
}

// A part that was on its way when its turn was adopted arrives; the turn is
// finished by whoever has it now.
func TestAReceiptOfTheFormerHolderFinishesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.receive("c1", "ana", "m1", "hello")
	v := w.join(e, 0)
	w.answer(e, v, "one")
	c := w.claim(e, v, "me/1/1")
	_, err := w.Pool().Exec(t.Context(), `UPDATE turns SET due_at = now() - interval '1 second'`)
	require.NoError(t, err)
	suspects, err := w.OverdueTurns(t.Context(), uuid.NullUUID{}, 10)
	require.NoError(t, err)
	_, ok, err := w.AdoptTurn(t.Context(), suspects[0], "turn/x/2")
	require.NoError(t, err)
	require.True(t, ok)
	finished, _ := w.receipt(e, v, c, "sent")
	require.False(t, finished)
	require.Equal(t, "sent", w.status(c.MessageID))
	require.Equal(t, "processing", w.status(e.MessageID))
	var rest omni.PartClaim
	require.NoError(t, w.claims(e, omni.TurnView{TurnID: v.TurnID, Epoch: 2}, "turn/x/2", "me/2/1", &rest)(t.Context()))
	require.Equal(t, "done", rest.State)
}

func TestOneSenderAtATime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.receive("c1", "ana", "m1", "hello")
	v := w.join(e, 0)
	w.answer(e, v, "one", "two")
	require.Equal(t, "claimed", w.claim(e, v, "a/1/1").State)
	require.Equal(t, "busy", w.claim(e, v, "b/1/1").State, "another owner")
	require.Equal(t, "busy", w.claim(e, v, "a/1/2").State, "another run of the same process")
	require.Equal(t, "resume", w.claim(e, v, "a/2/1").State, "the owner's former process is gone")
}

func TestConcurrentJoinsMakeOneTurn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var es []omni.Envelope
	for i := range 20 {
		es = append(es, w.receive("c1", "ana", fmt.Sprint("m", i), "x"))
	}
	turns := make(chan uuid.UUID, len(es))
	errs := make(chan error, len(es))
	for _, e := range es {
		go func(p omni.JoinParams) {
			v, err := w.JoinTurn(context.WithoutCancel(t.Context()), p)
			errs <- err
			turns <- v.TurnID.UUID
		}(w.joinParams(e, time.Minute))
	}
	seen := map[uuid.UUID]bool{}
	for range es {
		require.NoError(t, <-errs)
		seen[<-turns] = true
	}
	require.Len(t, seen, 1)
	// Whoever came first to the lock, the first message leads in the end.
	for i, e := range es {
		want := "follower"
		if i == 0 {
			want = "leader"
		}
		require.Equal(t, want, w.join(e, time.Minute).State, i)
	}
}

func TestAmendmentsReachTheBatch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.receive("c1", "ana", "m1", "helo")
	v := w.join(e, time.Minute)
	gone := w.receive("c1", "ana", "m2", "never mind")
	w.join(gone, 0)
	w.age(v.TurnID.UUID, time.Minute)
	edit := w.inbound("c1", "ana", "ev1", "hello")
	edit.Event.Kind, edit.Event.TargetID = message.KindEdit, "m1"
	edit.MessageID = omni.MessageID(w.instance, edit.ExternalKey())
	del := w.inbound("c1", "ana", "ev2", "")
	del.Event.Kind, del.Event.TargetID = message.KindDelete, "m2"
	del.MessageID = omni.MessageID(w.instance, del.ExternalKey())
	w.record(edit, del)
	w.record(edit, del)
	require.Equal(t, "closed", w.closeTurn(e, v).State)
	batch, err := w.TurnBatch(t.Context(), v.TurnID.UUID, v.Epoch)
	require.NoError(t, err)
	require.Len(t, batch, 1)
	require.Equal(t, "hello", batch[0].Text)
	require.Equal(t, 1, count(w.story(e.MessageID), "message.edited"))
}

// An edit may come before its target; the target then keeps what the edit said.
func TestEditBeforeItsTarget(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	target := w.inbound("c1", "ana", "m1", "helo")
	edit := w.inbound("c1", "ana", "ev1", "hello")
	edit.Event.Kind, edit.Event.TargetID = message.KindEdit, "m1"
	edit.MessageID = omni.MessageID(w.instance, edit.ExternalKey())
	w.record(edit)
	w.record(target)
	w.admit(target)
	v := w.join(target, 0)
	require.Equal(t, "closed", v.State)
	batch, err := w.TurnBatch(t.Context(), v.TurnID.UUID, v.Epoch)
	require.NoError(t, err)
	require.Equal(t, "hello", batch[0].Text)
	require.Equal(t, "ana", batch[0].SenderName)
}

// Platforms may tell of two edits in the wrong order: the later one stands.
func TestTheLaterEditStands(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.receive("c1", "ana", "m1", "helo")
	edit := func(id, text string, at time.Time) omni.Envelope {
		t.Helper()
		e := w.inbound("c1", "ana", id, text)
		e.Event.Kind, e.Event.TargetID, e.Event.Timestamp = message.KindEdit, "m1", at
		e.MessageID = omni.MessageID(w.instance, e.ExternalKey())
		return e
	}
	now := time.Now()
	w.record(edit("ev1", "hello", now))
	w.record(edit("ev2", "hallo", now.Add(-time.Minute)))
	v := w.join(e, 0)
	require.Equal(t, []string{"ana: hello"}, w.said(v))
}

func count(types []string, typ string) int {
	n := 0
	for _, s := range types {
		if s == typ {
			n++
		}
	}
	return n
}
