package agent_test

import (
	"context"
	"crypto/sha256"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/activities"
	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
)

// providerFunc is an agent as a function.
type providerFunc func(context.Context, omni.AgentRequest) (omni.AgentReply, error)

// Reply implements agent.Provider.
func (f providerFunc) Reply(ctx context.Context, req omni.AgentRequest) (omni.AgentReply, error) {
	return f(ctx, req)
}

func later(context.Context, omni.AgentRequest) (omni.AgentReply, error) {
	return omni.AgentReply{Later: true}, nil
}

// newLater is a world whose webhook agent is f.
func newLater(t *testing.T, f providerFunc) *world {
	t.Helper()
	w := newWorld(t, says("unused"))
	w.Provider = f
	w.inst.Settings.Agent.Provider = "webhook"
	return w
}

// calls is the agent's own call.
func (w *world) calls(turn activities.TurnRef, text string) omni.TurnReply {
	w.t.Helper()
	return w.callsFor(omni.DefaultTenant, turn.TurnID, text)
}

func (w *world) callsFor(tenant string, turn uuid.UUID, text string) omni.TurnReply {
	w.t.Helper()
	hash := sha256.Sum256([]byte(text))
	r, err := w.st.ReplyTurn(w.t.Context(), tenant, turn, omni.Answer{Text: text, Details: map[string]any{"later": true},
		Parts: []message.Content{{Type: message.TypeText, Text: text}}}, hash[:], time.Minute)
	require.NoError(w.t, err)
	return r
}

func (w *world) await(turn activities.TurnRef) (activities.ReplyOutput, error) {
	w.t.Helper()
	return w.Await(w.t.Context(), activities.AwaitInput{Turn: turn})
}

func TestAnAnswerThatComesLater(t *testing.T) {
	t.Parallel()
	asked := 0
	w := newLater(t, func(context.Context, omni.AgentRequest) (omni.AgentReply, error) {
		asked++
		return omni.AgentReply{Later: true}, nil
	})
	w.inst.Settings.Agent.TimeoutSeconds = 30
	turn := w.say(dm, "ana", "hello")
	for range 2 { // a step that runs again does not ask again
		out, err := w.reply(turn)
		require.NoError(t, err)
		require.Equal(t, activities.StateAwaiting, out.State)
		require.Greater(t, out.Wait, 25*time.Second)
		require.LessOrEqual(t, out.Wait, 30*time.Second)
	}
	require.Equal(t, 1, asked)
	var awaiting, longEnough bool
	require.NoError(t, w.st.Pool().QueryRow(t.Context(), `SELECT awaiting, due_at > reply_until FROM turns WHERE id = $1`, turn.TurnID).
		Scan(&awaiting, &longEnough))
	require.True(t, awaiting)
	require.True(t, longEnough, "it is not suspect before its agent's time is over")
	who, err := w.st.AwaitingWorkflow(t.Context(), turn.TurnID)
	require.NoError(t, err)
	require.Equal(t, turn.WorkflowID, who)
	out, err := w.await(turn)
	require.NoError(t, err)
	require.Equal(t, activities.StateAwaiting, out.State)

	require.Equal(t, omni.TurnReply{State: omni.ReplyAccepted, Parts: 1, WorkflowID: turn.WorkflowID}, w.calls(turn, "here it is"))
	require.Equal(t, omni.ReplyDuplicate, w.calls(turn, "here it is").State)
	require.Equal(t, omni.ReplyAnswered, w.calls(turn, "something else").State)
	out, err = w.await(turn)
	require.NoError(t, err)
	require.Equal(t, activities.StateClosed, out.State)
	require.Equal(t, 1, out.Parts)
	require.Equal(t, []string{"here it is"}, w.deliver(turn))
	require.Equal(t, omni.ReplyDuplicate, w.calls(turn, "here it is").State, "also when all is over")
	said := w.events(turn, "agent.response")
	require.Len(t, said, 1)
	require.Equal(t, true, said[0]["later"])
	require.Equal(t, "here it is", said[0]["text"])
}

// An agent may be quicker with its own call than with its 202, or send both.
func TestAnAnswerThatIsQuickerThanTheAcceptance(t *testing.T) {
	t.Parallel()
	for name, also := range map[string]omni.AgentReply{"accepted": {Later: true}, "answered": {Text: "second thoughts"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var w *world
			var turn activities.TurnRef
			w = newLater(t, func(context.Context, omni.AgentRequest) (omni.AgentReply, error) {
				require.Equal(t, omni.ReplyAccepted, w.calls(turn, "here it is").State)
				return also, nil
			})
			turn = w.say(dm, "ana", "hello")
			require.Equal(t, []string{"here it is"}, w.converse(turn))
		})
	}
}

// An attempt that failed may still be answered in its time.
func TestAnAnswerAfterAFailedCall(t *testing.T) {
	t.Parallel()
	w := newLater(t, func(context.Context, omni.AgentRequest) (omni.AgentReply, error) {
		return omni.AgentReply{}, &omni.AgentError{Kind: omni.AgentTransient, Status: 502, Reason: "bad gateway"}
	})
	turn := w.say(dm, "ana", "hello")
	_, err := w.reply(turn)
	require.Error(t, err)
	require.Equal(t, omni.ReplyAccepted, w.calls(turn, "I had heard you").State)
	require.Equal(t, []string{"I had heard you"}, w.converse(turn))
}

func TestAnAnswerThatNeverComes(t *testing.T) {
	t.Parallel()
	w := newLater(t, later)
	w.inst.Settings.Agent.TimeoutSeconds, w.inst.Settings.Agent.FallbackText = 1, "sorry"
	turn := w.say(dm, "ana", "hello")
	out, err := w.reply(turn)
	require.NoError(t, err)
	require.Equal(t, activities.StateAwaiting, out.State)
	require.Eventually(t, func() bool { _, err = w.await(turn); return err != nil }, 20*time.Second, 20*time.Millisecond)
	failure := requireApplicationError(t, err, activities.ErrTypeAgentTransient, true)
	_, err = w.reply(turn)
	requireApplicationError(t, err, activities.ErrTypeAgentTransient, true)
	require.Equal(t, omni.ReplyLate, w.calls(turn, "too late").State)

	out, err = w.GiveUp(t.Context(), activities.GiveUpInput{Turn: turn, Error: failure.Message(), Type: failure.Type()})
	require.NoError(t, err)
	require.Equal(t, 1, out.Parts)
	require.Equal(t, omni.ReplyAnswered, w.calls(turn, "too late").State)
	require.Equal(t, []string{"sorry"}, w.deliver(turn))
	failed := w.events(turn, "agent.error")
	require.Len(t, failed, 1)
	require.Equal(t, true, failed[0]["final"])
	var letters int
	require.NoError(t, w.st.Pool().QueryRow(t.Context(), `SELECT count(*) FROM dead_letters WHERE turn_id = $1 AND step = 'agent.Reply'`, turn.TurnID).Scan(&letters))
	require.Equal(t, 1, letters)
}

func TestATakeoverEndsTheWait(t *testing.T) {
	t.Parallel()
	w := newLater(t, later)
	turn := w.say(dm, "ana", "hello")
	_, err := w.reply(turn)
	require.NoError(t, err)
	_, err = w.st.TakeoverChat(t.Context(), turn.ChatID, omni.Takeover{Reason: "test"})
	require.NoError(t, err)
	who, err := w.st.AwaitingWorkflow(t.Context(), turn.TurnID)
	require.NoError(t, err)
	require.Equal(t, turn.WorkflowID, who, "it is to be told")
	out, err := w.await(turn)
	require.NoError(t, err)
	require.Equal(t, activities.StateCancelled, out.State)
	require.Equal(t, omni.ReplyOver, w.calls(turn, "here it is").State)
}

// Whoever adopts a turn that waits goes on waiting, and does not ask again.
func TestAdoptedWhileWaiting(t *testing.T) {
	t.Parallel()
	asked := 0
	w := newLater(t, func(context.Context, omni.AgentRequest) (omni.AgentReply, error) {
		asked++
		return omni.AgentReply{Later: true}, nil
	})
	turn := w.say(dm, "ana", "hello")
	_, err := w.reply(turn)
	require.NoError(t, err)
	_, err = w.st.Pool().Exec(t.Context(), `UPDATE turns SET due_at = now() - interval '1 second' WHERE id = $1`, turn.TurnID)
	require.NoError(t, err)
	other := turn
	other.WorkflowID = activities.TurnWorkflowID(turn.TurnID, 2)
	var ok bool
	other.Epoch, ok, err = w.st.AdoptTurn(t.Context(), omni.SuspectTurn{ID: turn.TurnID, ChatID: turn.ChatID, WorkflowID: turn.WorkflowID, Epoch: turn.Epoch}, other.WorkflowID)
	require.NoError(t, err)
	require.True(t, ok)
	out, err := w.await(turn)
	require.NoError(t, err)
	require.Equal(t, activities.StateAdopted, out.State)
	out, err = w.reply(other)
	require.NoError(t, err)
	require.Equal(t, activities.StateAwaiting, out.State)
	require.Equal(t, 1, asked)
	require.Equal(t, omni.TurnReply{State: omni.ReplyAccepted, Parts: 1, WorkflowID: other.WorkflowID}, w.calls(other, "here it is"))
	require.Equal(t, []string{"here it is"}, w.converse(other))
}

// Only a turn whose agent may answer later takes such an answer.
func TestAnAnswerThatNobodyAskedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t, says("unused"))
	turn := w.say(dm, "ana", "hello")
	require.Equal(t, omni.ReplyNotAsked, w.calls(turn, "let me help").State)
	require.Equal(t, omni.ReplyUnknown, w.callsFor(omni.DefaultTenant, uuid.New(), "x").State)
	require.Equal(t, omni.ReplyUnknown, w.callsFor("somebody-else", turn.TurnID, "x").State)
}
