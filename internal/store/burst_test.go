package store_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
)

// quietAt reads when a turn may close, counted from when it began, and what
// its debounce is.
func (w *world) quietAt(turn uuid.UUID) (sinceFirst, sinceLast, drawn time.Duration) {
	w.t.Helper()
	require.NoError(w.t, w.Pool().QueryRow(w.t.Context(),
		`SELECT quiet_at - first_at, quiet_at - last_at, quiet_for FROM turns WHERE id = $1`, turn).Scan(&sinceFirst, &sinceLast, &drawn))
	return sinceFirst, sinceLast, drawn
}

// age moves a turn into the past: tests wait for nothing.
func (w *world) age(turn uuid.UUID, by time.Duration) {
	w.t.Helper()
	_, err := w.Pool().Exec(w.t.Context(), `UPDATE turns SET first_at = first_at - $2::interval, last_at = last_at - $2::interval,
		quiet_at = quiet_at - $2::interval, latest_at = latest_at - $2::interval, media_until = media_until - $2::interval WHERE id = $1`, turn, by)
	require.NoError(w.t, err)
}

func (w *world) said(v omni.TurnView) []string {
	w.t.Helper()
	batch, err := w.TurnBatch(w.t.Context(), v.TurnID.UUID, v.Epoch)
	require.NoError(w.t, err)
	texts := make([]string, len(batch))
	for i, m := range batch {
		texts[i] = m.SenderName + ": " + m.Text
	}
	return texts
}

// amend records an edit (text) or a delete ("") of a message.
func (w *world) amend(chat, target, text string) {
	w.t.Helper()
	e := w.inbound(chat, "ana", "amends-"+target, text)
	e.Event.Kind, e.Event.TargetID = message.KindEdit, target
	if text == "" {
		e.Event.Kind = message.KindDelete
	}
	e.MessageID = omni.MessageID(w.instance, e.ExternalKey())
	w.record(e)
}

// The debounce is drawn once: what later messages of the turn would have
// drawn, or new settings say, is for the next turn.
func TestDebounceOfATurnIsDrawnOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.receive("c1", "ana", "m1", "one")
	v := w.join(e, 7*time.Second)
	require.Equal(t, "leader", v.State)
	first, _, drawn := w.quietAt(v.TurnID.UUID)
	require.Equal(t, 7*time.Second, drawn)
	require.Equal(t, 7*time.Second, first)
	w.age(v.TurnID.UUID, 5*time.Second)
	for i, other := range []time.Duration{3 * time.Second, 50 * time.Second, 0} {
		f := w.receive("c1", "ana", "m"+string(rune('2'+i)), "more")
		require.Equal(t, "follower", w.join(f, other).State)
		_, last, drawn := w.quietAt(v.TurnID.UUID)
		require.Equal(t, 7*time.Second, drawn)
		require.Equal(t, 7*time.Second, last, "from the last message")
	}
	again := w.join(e, 20*time.Second) // the step runs again
	require.Equal(t, "leader", again.State)
	require.InDelta(t, 7000, again.Wait.Milliseconds(), 1000)
	closing := w.closeTurn(e, v)
	require.Equal(t, "wait", closing.State)
	require.InDelta(t, 7000, closing.Wait.Milliseconds(), 1000)
	w.age(v.TurnID.UUID, 7*time.Second)
	require.Equal(t, "closed", w.closeTurn(e, v).State)
	require.Equal(t, []string{"ana: one", "ana: more", "ana: more", "ana: more"}, w.said(v))
}

// Messages that keep coming put an answer off no longer than the cap, counted
// from the first of them.
func TestDebounceHasACap(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.receive("c1", "ana", "m1", "one")
	v := w.join(e, 40*time.Second) // the cap of these tests is a minute
	w.age(v.TurnID.UUID, 50*time.Second)
	w.join(w.receive("c1", "ana", "m2", "two"), 40*time.Second)
	first, _, _ := w.quietAt(v.TurnID.UUID)
	require.Equal(t, time.Minute, first)
	require.Equal(t, "wait", w.closeTurn(e, v).State)
	w.age(v.TurnID.UUID, 10*time.Second)
	require.Equal(t, "closed", w.closeTurn(e, v).State)
}

func (w *world) closeTyping(e omni.Envelope, v omni.TurnView, typing ...omni.TypingHold) omni.TurnView {
	w.t.Helper()
	out, err := w.CloseTurn(w.t.Context(), e.ChatID(), v.TurnID.UUID, workflowOf(e), v.Epoch,
		omni.ClosingParams{Provider: "echo", AnswerWithin: time.Minute, MediaWithin: time.Minute, Typing: typing}, w.attempt())
	require.NoError(w.t, err)
	return out
}

func TestTypingPutsTheAnswerOff(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		quiet, age time.Duration
		typing     []omni.TypingHold // Seq counts from the turn's last message
		want       string
		wait       time.Duration
	}{
		"nobody":                         {quiet: time.Second, age: time.Second, want: "closed"},
		"who wrote types on":             {quiet: time.Second, age: time.Second, typing: hold("ana", 1, 5000), want: "wait", wait: 5 * time.Second},
		"who wrote typed before":         {quiet: time.Second, age: time.Second, typing: hold("bob", -1, 5000), want: "closed"},
		"typed before another's message": {quiet: time.Second, age: time.Second, typing: hold("ana", -1, 5000), want: "wait", wait: 5 * time.Second},
		"somebody of the group":          {quiet: time.Second, age: time.Second, typing: hold("eve", 1, 5000), want: "closed"},
		"the platform does not say who":  {quiet: time.Second, age: time.Second, typing: hold("", 1, 5000), want: "wait", wait: 5 * time.Second},
		"unknown, before the last":       {quiet: time.Second, age: time.Second, typing: hold("", -1, 5000), want: "closed"},
		"the longest counts":             {quiet: time.Second, age: time.Second, typing: append(hold("ana", 1, 1000), hold("bob", 2, 4000)...), want: "wait", wait: 4 * time.Second},
		"quiet is longer":                {quiet: 20 * time.Second, age: time.Second, typing: hold("ana", 1, 5000), want: "wait", wait: 19 * time.Second},
		"not beyond the cap":             {quiet: 40 * time.Second, age: 58 * time.Second, typing: hold("ana", 1, 5000), want: "wait", wait: 2 * time.Second},
		"after the cap":                  {quiet: time.Minute, age: time.Minute, typing: hold("ana", 1, 5000), want: "closed"},
		"debounce disabled":              {typing: hold("ana", 1, 5000), want: "closed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			e := w.receive("c1", "ana", "m1", "one")
			p := w.joinParams(e, tc.quiet)
			p.Close = false
			v, err := w.JoinTurn(t.Context(), p)
			require.NoError(t, err)
			w.seq += 4 // what is recorded between
			w.join(w.receive("c1", "bob", "m2", "two"), tc.quiet)
			w.age(v.TurnID.UUID, tc.age)
			typing := tc.typing
			for i := range typing {
				typing[i].Seq += w.seq
			}
			out := w.closeTyping(e, v, typing...)
			require.Equal(t, tc.want, out.State, "%s", out.Wait)
			require.InDelta(t, tc.wait.Milliseconds(), out.Wait.Milliseconds(), 900)
		})
	}
}

// hold is a typing notice of somebody, by places behind (before) the last message.
func hold(sender string, after int, leftMs int64) []omni.TypingHold {
	return []omni.TypingHold{{SenderID: sender, Seq: uint64(after), LeftMs: leftMs}} //nolint:gosec // wraps around, and back
}

// Two messages within milliseconds start side by side, and the second may be
// first at the lock. The first leads all the same, whatever that one has
// begun, and both are answered in one turn, in their order.
func TestTheFirstMessageLeads(t *testing.T) {
	t.Parallel()
	for name, quiet := range map[string]time.Duration{"debounce disabled": 0, "debounced": time.Minute} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			first := w.receive("c1", "ana", "m1", "one")
			second := w.receive("c1", "ana", "m2", "two")
			third := w.receive("c1", "ana", "m3", "three")
			v2 := w.join(second, quiet)
			require.Contains(t, []string{"wait", "leader"}, v2.State, "an earlier message has not joined")
			require.Equal(t, "follower", w.join(third, quiet).State)
			v1 := w.join(first, quiet)
			require.Equal(t, v2.TurnID, v1.TurnID)
			require.Equal(t, first.MessageID, v1.Leader.UUID)

			require.Equal(t, "follower", w.join(second, quiet).State, "its step runs again")
			after := w.closeTurn(second, v2)
			require.Equal(t, "follower", after.State, "it led when it last looked")
			require.Equal(t, first.MessageID, after.Leader.UUID)
			require.Equal(t, "follower", w.join(third, quiet).State)
			if quiet > 0 {
				require.Equal(t, "leader", v1.State)
				w.age(v1.TurnID.UUID, quiet)
				v1 = w.closeTurn(first, v1)
			}
			require.Equal(t, "closed", v1.State)
			require.Equal(t, v1, w.closeTurn(first, v1), "and again")
			require.Equal(t, []string{"ana: one", "ana: two", "ana: three"}, w.said(v1))
			w.answer(first, v1, "all")
			finished, _ := w.receipt(first, v1, w.claim(first, v1, "me/1/1"), "sent")
			require.True(t, finished)
			for _, e := range []omni.Envelope{first, second, third} {
				require.Equal(t, "answered", w.status(e.MessageID))
			}
			require.Contains(t, w.story(first.MessageID), "turn.started")
			require.NotContains(t, w.story(second.MessageID), "turn.started")
		})
	}
}

// The leader of a collecting turn is gone. Messages that join do not make the
// turn look alive: the first of them says that somebody should look.
func TestJoiningKeepsAnOrphanOverdue(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	v := w.join(w.receive("c1", "ana", "m1", "one"), time.Minute)
	_, err := w.Pool().Exec(t.Context(), `UPDATE turns SET due_at = now() - interval '1 second'`)
	require.NoError(t, err)
	require.Equal(t, v.TurnID, w.join(w.receive("c1", "ana", "m2", "two"), time.Minute).Suspect)
	suspects, err := w.OverdueTurns(t.Context(), v.TurnID, 1)
	require.NoError(t, err)
	require.Len(t, suspects, 1)
	_, ok, err := w.AdoptTurn(t.Context(), suspects[0], "turn/x/2")
	require.NoError(t, err)
	require.True(t, ok)
	require.False(t, w.join(w.receive("c1", "ana", "m3", "three"), time.Minute).Suspect.Valid)
}

// A turn waits for media that is being processed: all of it, and no longer
// than the deadline of each.
func TestCloseWaitsForMedia(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	join := func(e omni.Envelope) omni.TurnView {
		p := w.joinParams(e, time.Second)
		p.MediaPending = true
		v, err := w.JoinTurn(t.Context(), p)
		require.NoError(t, err)
		return v
	}
	ready := func(e omni.Envelope) (omni.TurnView, string) {
		v, wake, err := w.ReadyTurn(t.Context(), e.ChatID(), e.MessageID, workflowOf(e))
		require.NoError(t, err)
		return v, wake
	}
	voice := w.receive("c1", "ana", "m1", "")
	photo := w.receive("c1", "ana", "m2", "")
	text := w.receive("c1", "ana", "m3", "see?")
	v := join(voice)
	require.Equal(t, "follower", join(photo).State)
	require.Equal(t, "follower", join(photo).State, "the step runs again")
	w.join(text, time.Second)
	w.age(v.TurnID.UUID, 10*time.Second)
	out := w.closeTurn(voice, v)
	require.Equal(t, "wait", out.State)
	require.InDelta(t, 50_000, out.Wait.Milliseconds(), 1000, "until the deadline, or woken")

	seen, wake := ready(voice)
	require.Equal(t, "leader", seen.State)
	require.Empty(t, wake, "another one is pending")
	require.Equal(t, "wait", w.closeTurn(voice, v).State)
	for range 2 { // the step may run again: what it says is still true
		seen, wake = ready(photo)
		require.Equal(t, "follower", seen.State)
		require.Equal(t, workflowOf(voice), wake, "the last one names the leader")
	}
	require.Equal(t, "closed", w.closeTurn(voice, v).State)
	seen, wake = ready(photo)
	require.Equal(t, "follower", seen.State)
	require.Empty(t, wake, "nobody waits any more")
	require.Len(t, w.said(v), 3)

	// The leader's own media was the last: it goes on by itself.
	own := w.receive("c2", "ana", "m4", "")
	v = join(own)
	seen, wake = ready(own)
	require.Equal(t, "leader", seen.State)
	require.Empty(t, wake)
	w.age(v.TurnID.UUID, time.Second)
	require.Equal(t, "closed", w.closeTurn(own, v).State)

	// Media that is never ready is not waited for beyond its deadline, though
	// other messages came later.
	stuck := w.receive("c3", "ana", "m5", "")
	v = join(stuck)
	w.age(v.TurnID.UUID, 59*time.Second)
	w.join(w.receive("c3", "ana", "m6", "hello?"), time.Second)
	w.age(v.TurnID.UUID, time.Second)
	require.Equal(t, "closed", w.closeTurn(stuck, v).State)

	// One that has not joined has nobody to wake.
	seen, wake = ready(w.receive("c4", "ana", "m7", ""))
	require.Empty(t, seen.State)
	require.Empty(t, wake)
}

// Everything that was collected is answered in one turn, and each message
// keeps who wrote it.
func TestGroupMessagesKeepTheirSenders(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var es []omni.Envelope
	for i, who := range []string{"ana", "bob", "ana", "eve"} {
		es = append(es, w.inbound("g1", who, "m"+string(rune('1'+i)), "I am "+who))
		es[i].Event.Chat.Type = message.ChatGroup
	}
	w.record(es...)
	v := omni.TurnView{}
	for i, e := range es {
		w.admit(e)
		if seen := w.join(e, time.Minute); i == 0 {
			v = seen
		}
	}
	w.age(v.TurnID.UUID, time.Minute)
	require.Equal(t, "closed", w.closeTurn(es[0], v).State)
	require.Equal(t, []string{"ana: I am ana", "bob: I am bob", "ana: I am ana", "eve: I am eve"}, w.said(v))
	batch, err := w.TurnBatch(t.Context(), v.TurnID.UUID, v.Epoch)
	require.NoError(t, err)
	for _, m := range batch {
		require.Equal(t, m.SenderName, m.SenderID)
		require.True(t, m.PersonID.Valid)
	}
}

func TestCollectedMessagesAreAmended(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.receive("c1", "ana", "m1", "helo")
	v := w.join(e, time.Minute)
	w.join(w.receive("c1", "ana", "m2", "never mind"), time.Minute)
	w.join(w.receive("c1", "ana", "m3", "bye"), time.Minute)
	w.amend("c1", "m1", "hello")
	w.amend("c1", "m2", "")
	w.age(v.TurnID.UUID, time.Minute)
	require.Equal(t, "closed", w.closeTurn(e, v).State)
	require.Equal(t, []string{"ana: hello", "ana: bye"}, w.said(v))
}

// Where everything was deleted there is nothing to answer, and the messages
// say so.
func TestATurnOfDeletedMessagesIsIgnored(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.receive("c1", "ana", "m1", "oops")
	v := w.join(e, time.Minute)
	other := w.receive("c1", "ana", "m2", "oops again")
	w.join(other, time.Minute)
	w.amend("c1", "m1", "")
	w.amend("c1", "m2", "")
	w.age(v.TurnID.UUID, time.Minute)
	out := w.closeTurn(e, v)
	require.Equal(t, "finished", out.State)
	require.Equal(t, "ignored", out.Outcome)
	require.Equal(t, "ignored", w.status(e.MessageID))
	require.Equal(t, "ignored", w.status(other.MessageID))
	require.Contains(t, w.story(e.MessageID), "turn.cancelled")
	require.NotContains(t, w.story(e.MessageID), "agent.request")

	// A message that was deleted before it joined is ignored as well.
	late := w.receive("c2", "ana", "m3", "oops")
	w.amend("c2", "m3", "")
	require.Equal(t, "ignored", w.join(late, 0).State)
	require.Equal(t, "ignored", w.status(late.MessageID))
}
