package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
)

// turnOf takes a message through a whole turn of one part. State is what
// turn.Join said.
func (w *world) turnOf(e omni.Envelope, answer string) (state string) {
	w.t.Helper()
	v := w.join(e, 0)
	if v.State != "closed" {
		return v.State
	}
	w.answer(e, v, answer)
	finished, _ := w.receipt(e, v, w.claim(e, v, "me/1/1"), "sent")
	require.True(w.t, finished)
	return v.State
}

// bot receives a message whose sender the platform marks as a bot.
func (w *world) bot(chat, id, text string) omni.Envelope {
	w.t.Helper()
	e := w.inbound(chat, "robo", id, text)
	e.Event.Sender.IsBot = true
	w.record(e)
	w.admit(e)
	return e
}

func (w *world) reason(id uuid.UUID) string {
	w.t.Helper()
	var s string
	require.NoError(w.t, w.Pool().QueryRow(w.t.Context(), `SELECT status_reason FROM messages WHERE id = $1`, id).Scan(&s))
	return s
}

// Two bots that answer each other stop within five turns; a person sets them
// going again.
func TestTwoBotsStop(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	turns := 0
	round := func() (last omni.Envelope) {
		for range 10 {
			turns++
			last = w.bot("c1", fmt.Sprint("b", turns), fmt.Sprint("beep ", turns))
			if w.turnOf(last, "boop") == "ignored" {
				return last
			}
		}
		return last
	}
	stopped := round()
	require.Equal(t, 5, turns)
	require.Equal(t, "ignored", w.status(stopped.MessageID))
	require.Equal(t, "bot_loop", w.reason(stopped.MessageID))
	require.Equal(t, "ignored", w.join(stopped, 0).State, "the step runs again")
	require.Equal(t, 1, count(w.story(stopped.MessageID), "turn.cancelled"))
	var reason string
	require.NoError(t, w.Pool().QueryRow(t.Context(),
		`SELECT data ->> 'reason' FROM events WHERE correlation_id = $1 AND type = 'turn.cancelled'`, stopped.MessageID).Scan(&reason))
	require.Equal(t, "bot_loop", reason)

	// It goes on trying: refused, and said once only.
	again := w.bot("c1", "b-again", "beep?")
	require.Equal(t, "ignored", w.join(again, 0).State)
	require.Equal(t, "bot_loop", w.reason(again.MessageID))
	require.NotContains(t, w.story(again.MessageID), "turn.cancelled")

	// Another chat is another matter.
	require.Equal(t, "closed", w.turnOf(w.bot("c2", "b-other", "beep"), "boop"))

	// A person writes, for us or not.
	person := w.receive("c1", "ana", "m1", "what are you two doing?")
	p := w.joinParams(person, 0)
	p.Refuse = "no trigger matches"
	v, err := w.JoinTurn(t.Context(), p)
	require.NoError(t, err)
	require.Equal(t, "ignored", v.State)
	turns = 0
	round()
	require.Equal(t, 5, turns)
}

func TestABotThatIsAnsweredWithAPersonAroundGoesOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 12 {
		require.Equal(t, "closed", w.turnOf(w.bot("c1", fmt.Sprint("b", i), "alert"), "seen"))
		if i%3 == 2 {
			require.Equal(t, "closed", w.turnOf(w.receive("c1", "ana", fmt.Sprint("m", i), "thanks"), "welcome"))
		}
	}
}

// A bot that reports now and then is in no conversation.
func TestBotsBeginAnewAfterAnHour(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 8 {
		require.Equal(t, "closed", w.turnOf(w.bot("c1", fmt.Sprint("b", i), "alert"), "seen"))
		_, err := w.Pool().Exec(t.Context(), `UPDATE chats SET bot_turn_at = bot_turn_at - interval '61 minutes'`)
		require.NoError(t, err)
	}
}

// What bots write into a turn that collects is one turn, however much it is.
func TestABotsBurstIsOneTurn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.bot("c1", "b0", "beep")
	v := w.join(first, time.Minute)
	for i := range 10 {
		require.Equal(t, "follower", w.join(w.bot("c1", fmt.Sprint("b", i+1), "beep"), time.Minute).State)
	}
	w.age(v.TurnID.UUID, time.Minute)
	require.Equal(t, "closed", w.closeTurn(first, v).State)
	require.Len(t, w.said(v), 11)
}

// A program that no platform marks, and that says back what we say, is found
// by that.
func TestAnEchoOfUsIsTakenForABot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	said := "how can I help you today?"
	require.Equal(t, "closed", w.turnOf(w.receive("c1", "ana", "m0", "hello there, whoever you are"), said))
	turns := 0
	for state := "closed"; state == "closed" && turns < 10; turns++ {
		e := w.receive("c1", "ana", fmt.Sprint("e", turns), said)
		said = fmt.Sprintf("answer number %d of this agent", turns)
		if state = w.turnOf(e, said); state != "closed" {
			require.Equal(t, "bot_loop", w.reason(e.MessageID))
		}
	}
	require.Equal(t, 5, turns)
}

// People who repeat themselves, or us, are not taken for programs.
func TestPeopleWhoRepeatThingsAreAnswered(t *testing.T) {
	t.Parallel()
	const long = "a text of more than twenty characters"
	for name, tc := range map[string]struct {
		theirs func(i int, ours string) string
		ours   func(i int, theirs string) string
		late   bool // more than two seconds after our answer
	}{
		"the same again, echoed":   {theirs: func(int, string) string { return long }, ours: func(_ int, s string) string { return s }},
		"the same question":        {theirs: func(int, string) string { return long }, ours: func(int, string) string { return "the same long answer, always" }},
		"short words":              {theirs: func(_ int, s string) string { return s }, ours: func(i int, _ string) string { return fmt.Sprint("word ", i) }},
		"repeat after me":          {theirs: func(_ int, s string) string { return s }, ours: func(i int, _ string) string { return fmt.Sprint("now say this long sentence ", i) }, late: true},
		"quoting us, and more":     {theirs: func(_ int, s string) string { return "> " + s + "\nreally?" }, ours: func(i int, _ string) string { return fmt.Sprint("a long statement of ours ", i) }},
		"their own words, at once": {theirs: func(i int, _ string) string { return fmt.Sprint("a long question of mine ", i) }, ours: func(_ int, s string) string { return s }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			ours := "what do you want to talk about?"
			require.Equal(t, "closed", w.turnOf(w.receive("c1", "ana", "m", "hello"), ours))
			for i := range 8 {
				if tc.late {
					_, err := w.Pool().Exec(t.Context(), `UPDATE messages SET sent_at = sent_at - interval '3 seconds' WHERE direction = 'outbound'`)
					require.NoError(t, err)
				}
				theirs := tc.theirs(i, ours)
				ours = tc.ours(i, theirs)
				require.Equal(t, "closed", w.turnOf(w.receive("c1", "ana", fmt.Sprint("m", i), theirs), ours), i)
			}
		})
	}
}

// reaction makes one, on the message that has that id on the platform, that a
// workflow goes on with.
func (w *world) reaction(chat, sender, id, target, emoji string) omni.Envelope {
	e := w.inbound(chat, sender, id, "")
	e.Event.Kind, e.Event.TargetID = message.KindReaction, target
	e.Event.Content = message.Content{Type: message.TypeReaction, Reaction: &message.Reaction{Emoji: emoji}}
	e.MessageID = omni.MessageID(w.instance, e.ExternalKey())
	e.Admission = &omni.Admission{Begins: true, Status: omni.StatusReceived}
	return e
}

// A reaction that triggers says in the batch who reacted with what to which of
// our messages.
func TestAReactionBeginsATurn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.receive("c1", "ana", "m1", "hello")
	v := w.join(e, 0)
	w.answer(e, v, "shall I book it?")
	part := w.claim(e, v, "me/1/1")
	w.receipt(e, v, part, "sent")
	ours := "x-" + part.MessageID.String()

	r := w.reaction("c1", "bob", "r1", ours, "👍")
	w.record(r)
	w.admit(r)
	m, err := w.InboundMessage(t.Context(), r.MessageID)
	require.NoError(t, err)
	require.Equal(t, ours, m.TargetExternalID)
	v = w.join(r, 0)
	require.Equal(t, "closed", v.State)
	require.Equal(t, v, w.join(r, 0), "the step runs again")
	batch, err := w.TurnBatch(t.Context(), v.TurnID.UUID, v.Epoch)
	require.NoError(t, err)
	require.Len(t, batch, 1)
	require.Equal(t, message.KindReaction, batch[0].Kind)
	require.Equal(t, "bob", batch[0].SenderName)
	require.Equal(t, "👍", batch[0].Text)
	require.Equal(t, "👍", batch[0].Content.Reaction.Emoji)
	require.Equal(t, &omni.ReactionTarget{ID: part.MessageID, ExternalID: ours, Text: "shall I book it?"}, batch[0].Target)

	w.answer(r, v, "booked")
	c := w.claim(r, v, "me/1/1")
	require.Equal(t, ours, c.ReplyTo, "the answer is to the message, not to the reaction")
	finished, _ := w.receipt(r, v, c, "sent")
	require.True(t, finished)
	require.Equal(t, "answered", w.status(r.MessageID))
	require.Equal(t, "finished", w.join(r, 0).State)

	// One that is refused says why, and stays refused.
	other := w.reaction("c1", "bob", "r2", "m1", "👍")
	w.record(other)
	w.admit(other)
	p := w.joinParams(other, 0)
	p.Refuse = string(omni.RefusedNotOurs)
	for range 2 {
		v, err = w.JoinTurn(t.Context(), p)
		require.NoError(t, err)
		require.Equal(t, "ignored", v.State)
	}
	require.Equal(t, string(omni.RefusedNotOurs), w.reason(other.MessageID))
	require.Equal(t, "ignored", w.join(other, 0).State, "decided once")
}

// Reactions that nobody waits for do not hold up the messages after them.
func TestReactionsHoldNothingUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.reaction("c1", "ana", "r1", "m0", "👍")
	r.Admission = &omni.Admission{Status: omni.StatusIgnored, Reason: string(omni.RefusedReaction)}
	w.record(r)
	require.Equal(t, "ignored", w.status(r.MessageID))
	require.Equal(t, "closed", w.join(w.receive("c1", "ana", "m1", "hello"), 0).State)
}

// A reaction joins what is being collected, in its place.
func TestAReactionInABurst(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.receive("c1", "ana", "m1", "first")
	v := w.join(e, time.Minute)
	r := w.reaction("c1", "ana", "r1", "x", "🎉")
	w.record(r)
	w.admit(r)
	require.Equal(t, "follower", w.join(r, time.Minute).State)
	w.join(w.receive("c1", "ana", "m2", "last"), time.Minute)
	w.age(v.TurnID.UUID, time.Minute)
	require.Equal(t, "closed", w.closeTurn(e, v).State)
	require.Equal(t, []string{"ana: first", "ana: 🎉", "ana: last"}, w.said(v))
	batch, err := w.TurnBatch(t.Context(), v.TurnID.UUID, v.Epoch)
	require.NoError(t, err)
	require.Nil(t, batch[1].Target, "not a message of ours")
}

func TestWroteMessage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.receive("c1", "ana", "m1", "hello")
	v := w.join(e, 0)
	w.answer(e, v, "hi")
	part := w.claim(e, v, "me/1/1")
	w.receipt(e, v, part, "sent")
	for _, tc := range []struct {
		instance, chat uuid.UUID
		id             string
		want           bool
	}{
		{w.instance, e.ChatID(), "x-" + part.MessageID.String(), true},
		{w.instance, e.ChatID(), "m1", false},
		{w.instance, e.ChatID(), "", false},
		{w.instance, uuid.New(), "x-" + part.MessageID.String(), false},
		{uuid.New(), e.ChatID(), "x-" + part.MessageID.String(), false},
	} {
		wrote, err := w.WroteMessage(t.Context(), tc.instance, tc.chat, tc.id)
		require.NoError(t, err)
		require.Equal(t, tc.want, wrote, tc)
	}
}

// A reaction resets as well as a message does, once.
func TestAReactionResets(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.Equal(t, "closed", w.turnOf(w.receive("c1", "ana", "m1", "hello"), "hi"))
	r := w.reaction("c1", "ana", "r1", "m1", "🧹")
	w.record(r)
	w.admit(r)
	for range 2 {
		v, err := w.ResetByMessage(t.Context(), r.ChatID(), r.MessageID, workflowOf(r), string(omni.RefusedReset))
		require.NoError(t, err)
		require.Equal(t, "ignored", v.State)
	}
	require.Equal(t, string(omni.RefusedReset), w.reason(r.MessageID))
	var epoch int
	require.NoError(t, w.Pool().QueryRow(t.Context(), `SELECT session_epoch FROM chats WHERE id = $1`, r.ChatID()).Scan(&epoch))
	require.Equal(t, 1, epoch)
}
