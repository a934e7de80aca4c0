package steps

import (
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/activities"
	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/workflows"
)

// followed is an instance that follows up after a second.
func followed(followUps ...object) object {
	return object{"agent": object{"provider": "echo", "quick": "always"}, "messaging": object{"followUps": followUps}}
}

// turn is the turn that a message led.
func (l *line) turn(id string) uuid.UUID { return omni.TurnID(l.message(id), 0) }

// The hub is killed around everything that a follow-up does: between the
// answer and the arming, at the claim, at the send. It goes out once.
func TestKillAroundAFollowUp(t *testing.T) {
	t.Parallel()
	c := newChild(t)
	c.start(t, orders{})
	l := c.newLine(t, followed(object{"afterSeconds": 1, "text": "still there?"}))
	c.stop()
	type death struct {
		when, point string
		nth         int
	}
	deaths := []death{{before, "UnarmedFollowUps", 1}, {after, "UnarmedFollowUps", 1}, {after, "ArmFollowUp", 1},
		{before, "ClaimFollowUp", 1}, {after, "ClaimFollowUp", 1}, {after, "AnswerTurn", 2}, {after, "ClaimPart", 2}, {before, "Send", 2},
		{after, "Send", 2}, {after, "ReceiptPart", 2}}
	for i, d := range deaths {
		id, chat := fmt.Sprint("m", i), fmt.Sprint("c", i)
		m := moment{When: d.when, Point: d.point, Chat: l.chat(chat), Message: l.turn(id), Platform: chat}
		c.start(t, orders{Faults: []fault{{moment: m, Nth: d.nth}}})
		l.say(t, id, chat, "hello")
		c.dies(t, 2*answeredWithin)
		t.Logf("killed: %s %s", d.when, d.point)
	}
	c.start(t, orders{})
	restarted := time.Now()
	for i, d := range deaths {
		chat := fmt.Sprint("c", i)
		l.hears(t, answeredWithin-time.Since(restarted), chat, "hello", "still there?")
		id := fmt.Sprint("m", i)
		c.finished(t, activities.FollowUpWorkflowID(l.turn(id), 0))
		c.finished(t, workflows.MessageWorkflowID(l.message(id)))
		events := c.events(t, l.message(id))
		require.Equal(t, 1, events["followup.scheduled"], d)
		require.Equal(t, 1, events["followup.sent"], d)
		require.Zero(t, events["followup.cancelled"], d)
		require.Equal(t, 2, events["message.sent"], d)
	}
	for i := range deaths {
		require.Equal(t, []string{"hello", "still there?"}, l.out.Texts(fmt.Sprint("c", i)))
	}
}

func TestFollowUp(t *testing.T) {
	t.Parallel()
	w := newWatched(t, slog.LevelInfo)

	t.Run("asks the agent, with its history", func(t *testing.T) {
		t.Parallel()
		asked := make(chan []string, 10)
		agent := newLLM(t, func(_ *http.Request, texts []string) (int, string) {
			asked <- texts
			return http.StatusOK, fmt.Sprint("answer ", len(texts))
		})
		l := w.newLine(t, object{"agent": agent.agent(nil), "messaging": object{"followUps": []object{
			{"afterSeconds": 1, "agentPrompt": "Ask whether that helped."}, {"afterSeconds": 2, "text": "one\n\ntwo"}}}})
		l.say(t, "m1", "c1", "question")
		l.hears(t, 15*time.Second, "c1", "answer 1", "answer 2", "one", "two")
		require.Equal(t, []string{"question"}, <-asked)
		require.Equal(t, []string{"question", "Ask whether that helped."}, <-asked)
		for n := range 2 {
			w.finished(t, activities.FollowUpWorkflowID(l.turn("m1"), n))
		}
		require.Equal(t, 2, w.events(t, l.message("m1"))["followup.sent"])
		var trace struct {
			Workflows []struct{ ID, Type, Status string }
		}
		w.call(t, http.MethodGet, "/api/v1/messages/"+l.message("m1").String()+"/trace", nil, &trace)
		require.Len(t, trace.Workflows, 3)
		require.Equal(t, activities.FollowUpWorkflowID(l.turn("m1"), 1), trace.Workflows[2].ID)
		require.Equal(t, []string{"FollowUp", "Completed"}, []string{trace.Workflows[2].Type, trace.Workflows[2].Status})
		w.record(t, workflows.TypeFollowUp, "asks-the-agent", activities.FollowUpWorkflowID(l.turn("m1"), 0))
		w.record(t, workflows.TypeFollowUp, "two-parts", activities.FollowUpWorkflowID(l.turn("m1"), 1))
		w.record(t, workflows.TypeMessage, "arms-follow-ups", workflows.MessageWorkflowID(l.message("m1")))
		// What was asked in the turn of a follow-up is nothing that anybody said.
		l.say(t, "m2", "c1", "thanks")
		require.Equal(t, []string{"question", "thanks"}, <-asked)
	})
	t.Run("a message cancels it", func(t *testing.T) {
		t.Parallel()
		l := w.newLine(t, followed(object{"afterSeconds": 3, "text": "still there?"}))
		l.say(t, "m1", "c1", "one")
		l.hears(t, 10*time.Second, "c1", "one")
		l.say(t, "m2", "c1", "two")
		l.hears(t, 15*time.Second, "c1", "one", "two", "still there?")
		w.finished(t, activities.FollowUpWorkflowID(l.turn("m1"), 0))
		w.finished(t, activities.FollowUpWorkflowID(l.turn("m2"), 0))
		require.Equal(t, 1, w.events(t, l.message("m1"))["followup.cancelled"])
		require.Equal(t, []string{"one", "two", "still there?"}, l.out.Texts("c1"), "only what follows the last answer")
		w.record(t, workflows.TypeFollowUp, "cancelled", activities.FollowUpWorkflowID(l.turn("m1"), 0))
	})
	t.Run("a takeover while it is on its way", func(t *testing.T) {
		t.Parallel()
		release := make(chan struct{})
		agent := newLLM(t, says("answer", 0))
		l := w.newLine(t, object{"agent": agent.agent(nil), "messaging": object{"followUps": []object{
			{"afterSeconds": 1, "agentPrompt": "Anything else?"}}}})
		l.say(t, "m1", "c1", "question")
		l.hears(t, 10*time.Second, "c1", "answer")
		agent.set(blockedUntil(release, "anything else?"))
		<-agent.called
		<-agent.called // for the follow-up
		w.call(t, http.MethodPost, "/api/v1/chats/"+l.chat("c1").String()+"/takeover", object{}, &struct{}{})
		close(release)
		w.finished(t, activities.FollowUpWorkflowID(l.turn("m1"), 0))
		require.Equal(t, []string{"answer"}, l.out.Texts("c1"))
		require.Equal(t, 1, w.events(t, l.message("m1"))["followup.cancelled"])
	})
	for name, breaks := range map[string]func(t *testing.T, l *line){
		"a message": func(t *testing.T, l *line) { l.say(t, "m2", "c1", "thanks") },
		"a takeover": func(t *testing.T, l *line) {
			w.call(t, http.MethodPost, "/api/v1/chats/"+l.chat("c1").String()+"/takeover", object{}, &struct{}{})
		},
	} {
		t.Run(name+" cuts its call", func(t *testing.T) {
			t.Parallel()
			cuts := make(chan cut, 10)
			agent := newLLM(t, func(r *http.Request, texts []string) (int, string) {
				if told := texts[len(texts)-1]; told == "Anything else?" {
					<-r.Context().Done()
					cuts <- cut{told, time.Now()}
				}
				return http.StatusOK, "answer"
			})
			// The next turn collects for long: it is the message that cuts, not the turn.
			l := w.newLine(t, object{"agent": agent.agent(object{"quick": "never"}), "messaging": object{
				"debounceMode": "fixed", "debounceMs": 1500, "followUps": []object{{"afterSeconds": 1, "agentPrompt": "Anything else?"}}}})
			l.say(t, "m1", "c1", "question")
			l.hears(t, 15*time.Second, "c1", "answer")
			<-agent.called
			<-agent.called // for the follow-up
			said := time.Now()
			breaks(t, l)
			c := <-cuts
			require.Less(t, c.at.Sub(said), cutWithin, "cut at the provider's connection")
			w.finished(t, activities.FollowUpWorkflowID(l.turn("m1"), 0))
			events := w.events(t, l.message("m1"))
			require.Equal(t, 1, events["followup.cancelled"])
			require.Zero(t, events["followup.sent"])
			require.Equal(t, 1, events["message.sent"], "nothing but the answer")
			w.record(t, workflows.TypeFollowUp, "cut-by-"+strings.ReplaceAll(name, " ", "-"), activities.FollowUpWorkflowID(l.turn("m1"), 0))
		})
	}
	t.Run("an operator ends its workflow", func(t *testing.T) {
		t.Parallel()
		l := w.newLine(t, followed(object{"afterSeconds": 2, "text": "still there?"}))
		l.say(t, "m1", "c1", "one")
		w.finished(t, workflows.MessageWorkflowID(l.message("m1")))
		require.NoError(t, w.temporal.TerminateWorkflow(t.Context(), activities.FollowUpWorkflowID(l.turn("m1"), 0), "", "by an operator"))
		_, err := w.db.Exec(t.Context(), `UPDATE follow_ups SET check_at = now() WHERE turn_id = $1`, l.turn("m1"))
		require.NoError(t, err)
		w.sweep(t)
		require.Equal(t, 1, w.events(t, l.message("m1"))["followup.cancelled"])
	})
	t.Run("the janitor arms what was left", func(t *testing.T) {
		t.Parallel()
		l := w.newLine(t, followed(object{"afterSeconds": 1, "text": "still there?"}))
		gate := w.gates.at(moment{When: before, Point: "UnarmedFollowUps", Message: l.turn("m1")})
		l.say(t, "m1", "c1", "one")
		gate.wait(t)
		require.NoError(t, w.temporal.TerminateWorkflow(t.Context(), workflows.MessageWorkflowID(l.message("m1")), "", "by an operator"))
		_, err := w.db.Exec(t.Context(), `UPDATE follow_ups SET check_at = now() WHERE turn_id = $1`, l.turn("m1"))
		require.NoError(t, err)
		w.sweep(t)
		l.hears(t, 10*time.Second, "c1", "one", "still there?")
		gate.release()
		w.finished(t, activities.FollowUpWorkflowID(l.turn("m1"), 0))
	})
	t.Run("a signal during the claim", func(t *testing.T) {
		t.Parallel()
		l := w.newLine(t, followed(object{"afterSeconds": 1, "text": "still there?"}))
		gate := w.gates.at(moment{When: after, Point: "ClaimFollowUp", Message: l.turn("m1")})
		l.say(t, "m1", "c1", "one")
		gate.wait(t)
		require.NoError(t, w.temporal.SignalWorkflow(t.Context(), activities.FollowUpWorkflowID(l.turn("m1"), 0), "", activities.SignalWake, nil))
		gate.release()
		l.hears(t, 10*time.Second, "c1", "one", "still there?")
		w.finished(t, activities.FollowUpWorkflowID(l.turn("m1"), 0))
		require.Equal(t, 2, w.events(t, l.message("m1"))["message.sent"])
		w.record(t, workflows.TypeFollowUp, "signalled", activities.FollowUpWorkflowID(l.turn("m1"), 0))
	})
}
