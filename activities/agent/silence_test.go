package agent_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/activities"
	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
)

// followUp is the turn of a follow-up that asks the agent, at its time.
func (w *world) followUp() activities.TurnRef {
	w.t.Helper()
	w.inst.Settings.Messaging.FollowUps = []omni.FollowUp{{AfterSeconds: 60, AgentPrompt: "Ask whether that helped."}}
	settings, err := json.Marshal(w.inst.Settings)
	require.NoError(w.t, err)
	_, err = w.st.Pool().Exec(w.t.Context(), `INSERT INTO instances (id, tenant_id, name, channel, settings) VALUES ($1, $2, 'x', 'custom', $3)`,
		w.inst.ID, w.inst.TenantID, settings)
	require.NoError(w.t, err)
	answered := w.say(dm, "Ana", "hello")
	_, _, err = w.st.AnswerTurn(w.t.Context(), answered.ChatID, answered.TurnID, answered.WorkflowID, answered.Epoch,
		omni.Answer{Text: "hi", Parts: []message.Content{{Type: message.TypeText, Text: "hi"}}}, time.Minute,
		omni.Attempt{StartedAt: time.Now(), Number: 1})
	require.NoError(w.t, err)
	w.deliver(answered)
	_, err = w.st.Pool().Exec(w.t.Context(), `UPDATE follow_ups SET due_at = now() - interval '1 second'`)
	require.NoError(w.t, err)
	id := activities.FollowUpWorkflowID(answered.TurnID, 0)
	v, err := w.st.ClaimFollowUp(w.t.Context(), omni.FollowUpClaim{ChatID: answered.ChatID, TurnID: answered.TurnID, WorkflowID: id,
		Closing: omni.ClosingParams{Provider: "openai", AnswerWithin: time.Minute}, Attempt: omni.Attempt{StartedAt: time.Now(), Number: 1}})
	require.NoError(w.t, err)
	require.Equal(w.t, "closed", v.State)
	turn := answered
	turn.TurnID, turn.Epoch, turn.WorkflowID = v.TurnID.UUID, v.Epoch, id
	return turn
}

// What breaks the silence cuts the call, though nobody says so on the bus: a
// message that is recorded and never joins a turn is enough.
func TestAFollowUpsCallIsCutWhenTheSilenceIsBroken(t *testing.T) {
	t.Parallel()
	gone := make(chan struct{}, 1)
	w := newWorld(t, hangs(gone))
	turn := w.followUp()
	results := make(chan activities.ReplyOutput, 1)
	go func() {
		out, err := w.Reply(t.Context(), activities.ReplyInput{Turn: turn})
		if err != nil {
			t.Error(err)
		}
		results <- out
	}()
	require.Contains(t, <-w.asked, "user: Ask whether that helped.")
	w.record(dm, "Ana", "thanks, all fine")
	recorded := time.Now()
	<-gone
	require.Less(t, time.Since(recorded), 5*time.Second, "cut at the provider's connection")
	require.Equal(t, activities.ReplyOutput{State: activities.StateCancelled}, <-results)
	cancelled := w.events(turn, omni.EventFollowUpCancelled)
	require.Len(t, cancelled, 1)
	require.Equal(t, "message", cancelled[0]["reason"])

	// Nobody is asked for one that is not wanted any more.
	out, err := w.reply(turn)
	require.NoError(t, err)
	require.Equal(t, activities.StateCancelled, out.State)
	require.Empty(t, w.asked)
}

// A chat that stays silent gets its follow-up, however long the agent thinks.
func TestAFollowUpThatStandsIsAnswered(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	w := newWorld(t, func(rw http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
		says("did it help?")(rw, r)
	})
	turn := w.followUp()
	other := message.Chat{ID: "c2", Type: message.ChatDM}
	time.AfterFunc(400*time.Millisecond, func() { close(release) }) // some looks long
	w.record(other, "Bea", "another chat's words")
	require.Equal(t, []string{"did it help?"}, w.converse(turn))
	require.Len(t, w.events(turn, omni.EventFollowUpSent), 1)
}
