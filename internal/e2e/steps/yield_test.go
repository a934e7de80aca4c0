package steps

import (
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/activities"
	"github.com/omnihub/omni/workflows"
)

// interrupting is the messaging of an instance that interrupts.
func interrupting(extra object) object {
	m := object{"whenBusy": "interrupt"}
	maps.Copy(m, extra)
	return m
}

// cut reports when the connection of a call was closed by its caller.
type cut struct {
	texts string
	at    time.Time
}

// cutWithin is soon for a busy machine. Who is not told hears of it with its
// next heartbeat, after six seconds.
const cutWithin = 3 * time.Second

// answersBoth answers with what it was told once that is more than one
// message; a single one it thinks about until its connection is cut.
func answersBoth(cuts chan<- cut) func(*http.Request, []string) (int, string) {
	return func(r *http.Request, texts []string) (int, string) {
		told := strings.Join(texts, "+")
		if len(texts) < 2 {
			<-r.Context().Done()
			cuts <- cut{told, time.Now()}
		}
		return http.StatusOK, told
	}
}

// A message that comes while the agent thinks cuts its call at once; one
// answer goes out, to both.
func TestInterruptWhileTheAgentThinks(t *testing.T) {
	t.Parallel()
	w := newWatched(t, slog.LevelInfo)
	cuts := make(chan cut, 100)
	agent := newLLM(t, answersBoth(cuts))
	for _, quick := range []string{"never", "always"} {
		t.Run(quick, func(t *testing.T) {
			l := w.newLine(t, object{"agent": agent.agent(object{"quick": quick}), "messaging": interrupting(nil)})
			first := l.say(t, "m1", "c1", "one")
			<-agent.called
			said := time.Now()
			second := l.say(t, "m2", "c1", "two")
			c := <-cuts
			require.Equal(t, "one", c.texts)
			require.Less(t, c.at.Sub(said), cutWithin, "cut at the provider's connection")
			l.hears(t, 10*time.Second, "c1", "one+two")
			<-agent.called
			w.finished(t, workflows.MessageWorkflowID(first))
			w.finished(t, workflows.MessageWorkflowID(second))
			require.Equal(t, "answered", w.status(t, first))
			require.Equal(t, "answered", w.status(t, second))
			require.Equal(t, w.turnOf(t, second), w.turnOf(t, first), "both are of one turn")
			for _, id := range []uuid.UUID{first, second} {
				require.Equal(t, w.turnOf(t, second).id.String(), w.tagOf(t, workflows.MessageWorkflowID(id)), "and found by it")
				require.ElementsMatch(t, []string{workflows.MessageWorkflowID(first), workflows.MessageWorkflowID(second)}, w.workflowsIn(t, id))
			}
			require.Equal(t, []string{"answered", "answered", "interrupted"}, w.outcomes(t, first, second))
			require.Equal(t, 1, w.events(t, first)["turn.cancelled"])
			require.Equal(t, 0, w.events(t, first)["agent.response"])
			require.Equal(t, 1, w.events(t, second)["message.sent"])
			w.record(t, workflows.TypeMessage, "interrupted-quick-"+quick, workflows.MessageWorkflowID(first))
			w.record(t, workflows.TypeMessage, "interrupts-quick-"+quick, workflows.MessageWorkflowID(second))
		})
	}
}

// What has been delivered stays and is told to the agent, between the
// messages; what has not is never seen.
func TestInterruptBetweenTwoParts(t *testing.T) {
	t.Parallel()
	w := newWatched(t, slog.LevelInfo)
	agent := newLLM(t, func(_ *http.Request, texts []string) (int, string) {
		if len(texts) == 1 {
			return http.StatusOK, "part one\n\npart two\n\npart three"
		}
		return http.StatusOK, "to both"
	})
	l := w.newLine(t, object{"agent": agent.agent(nil), "messaging": interrupting(object{"splitDelayMs": 60_000})})
	first := l.say(t, "m1", "c1", "one")
	l.hears(t, 10*time.Second, "c1", "part one")
	said := time.Now()
	second := l.say(t, "m2", "c1", "two")
	l.hears(t, 10*time.Second, "c1", "part one", "to both")
	require.Less(t, time.Since(said), 30*time.Second, "the delay between two parts is cut short")
	w.finished(t, workflows.MessageWorkflowID(first))
	w.finished(t, workflows.MessageWorkflowID(second))
	require.Equal(t, []string{"user: one", "assistant: part one", "user: two"}, agent.told()[1])
	require.Equal(t, "answered", w.status(t, first))
	require.Equal(t, []string{"part one", "to both"}, l.out.Texts("c1"))
	w.record(t, workflows.TypeMessage, "interrupted-between-two-parts", workflows.MessageWorkflowID(first))
}

// The fourth message in a row waits: the third interruption was the last.
func TestInterruptEndsAfterThree(t *testing.T) {
	t.Parallel()
	w := newWatched(t, slog.LevelInfo)
	release := make(chan struct{})
	agent := newLLM(t, func(r *http.Request, texts []string) (int, string) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
		return http.StatusOK, strings.Join(texts, "+")
	})
	l := w.newLine(t, object{"agent": agent.agent(object{"quick": "never", "historyMessages": 0}), "messaging": interrupting(nil)})
	const interruptions = 3
	for i := range interruptions + 1 {
		l.say(t, fmt.Sprint("m", i), "c1", fmt.Sprint(i))
		<-agent.called
	}
	last := l.say(t, "m4", "c1", "4")
	require.Eventually(t, func() bool { return w.turnOf(t, last).state == "collecting" }, 20*time.Second, 10*time.Millisecond)
	close(release)
	l.hears(t, 15*time.Second, "c1", "0+1+2+3", "4")
	require.Len(t, agent.calls(), interruptions+2)
}

// A signal while turn.Yield runs makes the server reject the task, and the
// step runs again; the messages are handed over once.
func TestSignalDuringYield(t *testing.T) {
	t.Parallel()
	w := newWatched(t, slog.LevelInfo)
	cuts := make(chan cut, 100)
	agent := newLLM(t, answersBoth(cuts))
	l := w.newLine(t, object{"agent": agent.agent(object{"quick": "never"}), "messaging": interrupting(nil)})
	for i, when := range []string{before, after} {
		t.Run(when, func(t *testing.T) {
			chat := fmt.Sprint("c", i)
			first := l.say(t, chat+"m1", chat, "one")
			<-agent.called
			gate := w.gates.at(moment{When: when, Point: "YieldTurn", Chat: l.chat(chat)})
			second := l.say(t, chat+"m2", chat, "two")
			gate.wait(t)
			id := workflows.MessageWorkflowID(second)
			require.NoError(t, w.temporal.SignalWorkflow(t.Context(), id, "", activities.SignalWake, nil))
			gate.release()
			l.hears(t, 15*time.Second, chat, "one+two")
			w.finished(t, id)
			w.finished(t, workflows.MessageWorkflowID(first))
			require.Equal(t, []string{"answered", "answered", "interrupted"}, w.outcomes(t, first, second))
			require.Equal(t, 1, w.events(t, first)["turn.cancelled"])
			require.Equal(t, 1, w.events(t, second)["turn.started"])
			w.record(t, workflows.TypeMessage, "signalled-"+when+"-YieldTurn", id)
		})
	}
}

// Killed before or after turn.Yield, and on either side of the steps around
// it, both messages get their one answer.
func TestKillAroundYield(t *testing.T) {
	t.Parallel()
	c := newChild(t)
	cuts := make(chan cut, 100)
	agent := newLLM(t, answersBoth(cuts))
	c.start(t, orders{})
	l := c.newLine(t, object{"agent": agent.agent(object{"quick": "never"}), "messaging": interrupting(nil)})
	c.stop()
	type death struct{ when, point string }
	deaths := []death{{after, "JoinTurn"}, {before, "YieldTurn"}, {after, "YieldTurn"}, {after, "AnswerTurn"}, {before, "FinishTurn"}}
	for i, d := range deaths {
		chat := fmt.Sprint("c", i)
		m := moment{When: d.when, Point: d.point, Chat: l.chat(chat)}
		if d.point == "JoinTurn" {
			m = moment{When: d.when, Point: d.point, Message: l.message(chat + "m2")}
		}
		c.start(t, orders{Faults: []fault{{m, 1}}})
		first := l.say(t, chat+"m1", chat, "one")
		require.Eventually(t, func() bool { return c.turnOf(t, first).state == "answering" }, 10*time.Second, 5*time.Millisecond)
		_, err := l.SendText(t.Context(), chat+"m2", chat, "u-"+chat, "two")
		if err != nil {
			t.Log(err)
		}
		c.dies(t, 20*time.Second)
		t.Logf("killed %s %s", d.when, d.point)
	}
	c.start(t, orders{})
	restarted := time.Now()
	for i, d := range deaths {
		chat := fmt.Sprint("c", i)
		_, err := l.SendText(t.Context(), chat+"m2", chat, "u-"+chat, "two") // the platform may not know
		require.NoError(t, err)
		l.hears(t, 2*answeredWithin-time.Since(restarted), chat, "one+two")
		first, second := l.message(chat+"m1"), l.message(chat+"m2")
		c.finished(t, workflows.MessageWorkflowID(first))
		c.finished(t, workflows.MessageWorkflowID(second))
		require.Equal(t, []string{"answered", "answered", "interrupted"}, c.outcomes(t, first, second), "%s %s", d.when, d.point)
		require.Equal(t, []string{"one+two"}, l.out.Texts(chat))
	}
}

// tagOf is the turn by which a workflow is found.
func (s *site) tagOf(t *testing.T, workflowID string) string {
	t.Helper()
	about, err := s.temporal.DescribeWorkflow(t.Context(), workflowID, "")
	require.NoError(t, err)
	turn, _ := about.TypedSearchAttributes.GetKeyword(workflows.AttrTurn)
	return turn
}
