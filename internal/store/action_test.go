package store_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
)

// acting answers a turn with actions, and a text where there is one.
func (w *world) acting(e omni.Envelope, v omni.TurnView, text string, actions ...omni.AgentAction) (string, int) {
	w.t.Helper()
	ans := omni.Answer{Text: text}
	if text != "" {
		ans.Parts = []message.Content{{Type: message.TypeText, Text: text}}
	}
	batch, err := w.TurnBatch(w.t.Context(), v.TurnID.UUID, v.Epoch)
	require.NoError(w.t, err)
	ans.Act(actions, batch, true)
	state, n, err := w.AnswerTurn(w.t.Context(), e.ChatID(), v.TurnID.UUID, workflowOf(e), v.Epoch, ans, time.Minute, w.attempt())
	require.NoError(w.t, err)
	return state, n
}

// A handoff is the takeover of the API: the words go out first, it happens
// once, and whoever waits behind is cancelled and told.
func TestHandoff(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.configure(omni.FollowUp{AfterSeconds: 60, Text: "still there?"})
	e := w.receive("c1", "ana", "m1", "a person, please")
	v := w.join(e, 0)
	handoff := omni.AgentAction{Type: omni.ActionHandoff, Reason: "asked for a person", UntilSeconds: 3600}
	state, n := w.acting(e, v, "One moment.", handoff)
	require.Equal(t, "closed", state)
	require.Equal(t, 1, n)
	require.False(t, w.chat(e).Paused, "not before the words have gone out")
	state, n = w.acting(e, v, "Another answer.", omni.AgentAction{Type: omni.ActionClose})
	require.Equal(t, "closed", state)
	require.Equal(t, 1, n, "the first answer stands, with what it asked for")
	behind := w.receive("c1", "ana", "m2", "hello?")
	vb := w.join(behind, 0)
	require.Equal(t, "behind", vb.State)

	c := w.claim(e, v, "me/1/1")
	finished, wake := w.receipt(e, v, c, "sent")
	require.True(t, finished)
	require.Equal(t, []string{workflowOf(behind)}, wake)
	again, _ := w.receipt(e, v, c, "sent")
	require.False(t, again)
	require.True(t, w.chat(e).Paused)
	require.WithinDuration(t, time.Now().Add(time.Hour), *w.chat(e).PausedUntil, time.Minute)
	said := w.data(e, "chat.takeover")
	require.Len(t, said, 1)
	require.Equal(t, "asked for a person", said[0]["reason"])
	require.Equal(t, "agent", said[0]["by"])
	require.Equal(t, "answered", w.status(e.MessageID))
	require.Equal(t, "cancelled", w.closeTurn(behind, vb).State)
	require.Equal(t, 0, count(w.story(e.MessageID), "followup.scheduled"))
	require.Zero(t, w.chat(e).SessionEpoch)
	require.Equal(t, "paused", w.join(w.receive("c1", "ana", "m3", "well?"), 0).State)
}

func TestSilence(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.receive("c1", "ana", "m1", "thanks all")
	v := w.join(e, 0)
	_, n := w.acting(e, v, "", omni.AgentAction{Type: omni.ActionNoReply})
	require.Zero(t, n)
	for range 2 {
		require.Equal(t, "no_reply", w.finish(e, v, "nothing", ""))
	}
	require.Equal(t, "ignored", w.status(e.MessageID))
	state, outcome := w.turnState(v)
	require.Equal(t, []string{"answered", "no_reply"}, []string{state, outcome})
	require.Equal(t, "no_reply", w.data(e, "turn.completed")[0]["outcome"])
	require.Equal(t, "finished", w.join(e, 0).State)

	// A gate says no: the agent was not asked, which says nothing of how quick it is.
	g := w.receive("c2", "ana", "m2", "lol")
	v = w.join(g, 0)
	_, _, err := w.AnswerTurn(t.Context(), g.ChatID(), v.TurnID.UUID, workflowOf(g), v.Epoch, omni.Answer{Actions: []omni.AgentAction{},
		Gate: &omni.GateDecision{Mode: "rule"}}, time.Minute, w.attempt())
	require.NoError(t, err)
	require.Equal(t, "gated", w.finish(g, v, "nothing", ""))
	require.Equal(t, "ignored", w.status(g.MessageID))
	took, err := w.AgentLatencies(t.Context(), w.instance, "", 20)
	require.NoError(t, err)
	require.Len(t, took, 1, "only the agent that was asked")
}

// What is not carried out has a problem; what is cancelled is not carried out.
func TestActionsOnlyOfTurnsThatWereAnswered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.receive("c1", "ana", "m1", "bye")
	v := w.join(e, 0)
	w.acting(e, v, "", omni.AgentAction{Type: omni.ActionClose}, omni.AgentAction{Type: omni.ActionHandoff, Problem: "no"},
		omni.AgentAction{Type: "dance", Problem: "unknown action"})
	require.Equal(t, "nothing", w.finish(e, v, "nothing", ""))
	require.Equal(t, "ignored", w.status(e.MessageID), "nobody heard an answer")
	require.Equal(t, 1, w.chat(e).SessionEpoch)
	require.False(t, w.chat(e).Paused)
	require.Equal(t, "agent", w.data(e, "chat.reset")[0]["by"])
	require.Equal(t, "nothing", w.finish(e, v, "nothing", ""))
	require.Equal(t, 1, w.chat(e).SessionEpoch, "once")

	c := w.receive("c2", "ana", "m2", "bye")
	v = w.join(c, 0)
	w.acting(c, v, "Bye!", omni.AgentAction{Type: omni.ActionClose})
	w.takeover(c, nil)
	require.Equal(t, "cancelled", w.finish(c, v, "answered", ""))
	require.Zero(t, w.chat(c).SessionEpoch)
}

// A reaction is a part: claimed, handed over and receipted like any other, on
// the message that it is for.
func TestReactionIsAPart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.receive("c1", "ana", "m1", "one")
	v := w.join(first, time.Minute)
	second := w.receive("c1", "ana", "m2", "two")
	w.join(second, time.Minute)
	w.exec(`UPDATE turns SET quiet_at = now() WHERE id = $1`, v.TurnID.UUID)
	v = w.closeTurn(first, v)
	require.Equal(t, "closed", v.State)
	_, n := w.acting(first, v, "Nice.", omni.AgentAction{Type: omni.ActionReact, Emoji: "👍"},
		omni.AgentAction{Type: omni.ActionReact, Emoji: "🎉", MessageID: &first.MessageID},
		omni.AgentAction{Type: omni.ActionReact, Emoji: "😱", MessageID: func() *uuid.UUID { id := uuid.New(); return &id }()})
	require.Equal(t, 3, n)
	for i, want := range []struct{ emoji, on string }{{"", "m1"}, {"👍", "m2"}, {"🎉", "m1"}} {
		c := w.claim(first, v, "me/1/1")
		require.Equal(t, "claimed", c.State)
		require.Equal(t, want.on, c.ReplyTo)
		require.Equal(t, want.emoji != "", c.Content.Reaction != nil)
		if c.Content.Reaction != nil {
			require.Equal(t, want.emoji, c.Content.Reaction.Emoji)
		}
		finished, _ := w.receipt(first, v, c, "sent")
		require.Equal(t, i == 2, finished)
	}
	require.Equal(t, 2, w.tally(`SELECT count(*) FROM messages WHERE kind = 'reaction' AND direction = 'outbound'`))
}

// An emoji that the platform does not take is no reason to leave out another,
// or to fail the answer.
func TestARefusedReactionHoldsNothingUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.receive("c1", "ana", "m1", "one")
	v := w.join(e, 0)
	_, n := w.acting(e, v, "Nice.", omni.AgentAction{Type: omni.ActionReact, Emoji: "🦤"}, omni.AgentAction{Type: omni.ActionReact, Emoji: "🎉"})
	require.Equal(t, 3, n)
	w.receipt(e, v, w.claim(e, v, "me/1/1"), "sent")
	w.receipt(e, v, w.claim(e, v, "me/1/1"), "failed")
	c := w.claim(e, v, "me/1/1")
	require.Equal(t, "claimed", c.State)
	require.Equal(t, "🎉", c.Content.Reaction.Emoji)
	finished, _ := w.receipt(e, v, c, "sent")
	require.False(t, finished, "not everything was sent")
	require.Equal(t, "done", w.claim(e, v, "me/1/1").State)
	require.Equal(t, "answered", w.finish(e, v, "answered", ""))
	require.Equal(t, "answered", w.status(e.MessageID))
}

// A turn whose agent failed and is asked again wants nothing of before.
func TestAskedAgainNothingIsLeftOfBefore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.instanceRow()
	e := w.receive("c1", "ana", "m1", "hello")
	v := w.join(e, 0)
	mine, err := w.GateTurn(t.Context(), v.TurnID.UUID, workflowOf(e), v.Epoch, omni.GateDecision{Answer: true, Mode: "model"})
	require.NoError(t, err)
	require.True(t, mine)
	turn, err := w.AgentTurn(t.Context(), v.TurnID.UUID, workflowOf(e), v.Epoch, omni.Memory{})
	require.NoError(t, err)
	require.Equal(t, &omni.GateDecision{Answer: true, Mode: "model"}, turn.Gate)
	letter := w.agentDies(e, v)
	h := w.reopened(e, letter.ID)
	turn, err = w.AgentTurn(t.Context(), v.TurnID.UUID, h.r.WorkflowID, h.r.Epoch, omni.Memory{})
	require.NoError(t, err)
	require.Nil(t, turn.Gate)
	mine, err = w.GateTurn(t.Context(), v.TurnID.UUID, workflowOf(e), v.Epoch, omni.GateDecision{Answer: true})
	require.NoError(t, err)
	require.False(t, mine, "another workflow's by now")
}
