package steps

import (
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/omnihub/omni/activities"
	"github.com/omnihub/omni/workflows"
)

// The leader's workflow is terminated by an operator. The turn is adopted and
// goes on from where its rows say it stopped; the chat's next message is
// answered too.
func TestAdoption(t *testing.T) {
	t.Parallel()
	w := newWatched(t, slog.LevelInfo)

	t.Run("while collecting", func(t *testing.T) {
		t.Parallel()
		l := w.newLine(t, object{"messaging": object{"debounceMode": "fixed", "debounceMs": 2000}})
		turn := w.orphan(t, l, "one", func() {
			require.Eventually(t, func() bool { return w.turnOf(t, l.message("m1")).state == "collecting" }, 20*time.Second, 10*time.Millisecond)
		})
		w.sweep(t)
		w.adoptedBy(t, l, turn, "one")
		w.record(t, workflows.TypeTurn, "while-collecting", activities.TurnWorkflowID(turn, 2))
	})
	t.Run("before the agent is asked", func(t *testing.T) {
		t.Parallel()
		l := w.newLine(t, object{})
		joined := w.gates.at(moment{When: after, Point: "JoinTurn", Chat: l.chat("c1")})
		turn := w.orphan(t, l, "one", func() {
			joined.wait(t)
			require.Equal(t, "answering", w.turnOf(t, l.message("m1")).state)
		})
		w.sweep(t)
		joined.release() // what the workflow still does, nobody needs
		w.adoptedBy(t, l, turn, "one")
		w.record(t, workflows.TypeTurn, "before-the-agent-is-asked", activities.TurnWorkflowID(turn, 2))
	})
	t.Run("during the agent call", func(t *testing.T) {
		t.Parallel()
		release := make(chan struct{})
		agent := newLLM(t, nil)
		agent.set(blockedUntil(release, "the answer"))
		l := w.newLine(t, object{"agent": agent.agent(nil)})
		turn := w.orphan(t, l, "question", func() { <-agent.called })
		w.sweep(t)
		<-agent.called // by the workflow that adopted it
		close(release)
		w.adoptedBy(t, l, turn, "the answer")
		w.record(t, workflows.TypeTurn, "during-the-agent-call", activities.TurnWorkflowID(turn, 2))
		require.Equal(t, agent.calls()[0], agent.calls()[1], "asking again is told by the key")
	})
	t.Run("between two parts", func(t *testing.T) {
		t.Parallel()
		l := w.newLine(t, object{"messaging": object{"splitDelayMs": 1500}})
		turn := w.orphan(t, l, "one\n\ntwo", func() { l.hears(t, 10*time.Second, "c1", "one") })
		w.sweep(t)
		w.adoptedBy(t, l, turn, "one", "two")
		w.record(t, workflows.TypeTurn, "between-two-parts", activities.TurnWorkflowID(turn, 2))
	})
	t.Run("by who waits behind", func(t *testing.T) {
		t.Parallel()
		release := make(chan struct{})
		agent := newLLM(t, nil)
		agent.set(blockedUntil(release, "the answer"))
		l := w.newLine(t, object{"agent": agent.agent(nil)})
		turn := w.orphan(t, l, "question", func() { <-agent.called })
		l.say(t, "m2", "c1", "another")
		<-agent.called
		close(release)
		l.hears(t, 15*time.Second, "c1", "the answer", "the answer")
		require.Equal(t, 2, w.turnOf(t, l.message("m1")).epoch)
		w.finished(t, activities.TurnWorkflowID(turn, 2))
		require.Equal(t, 1, w.events(t, l.message("m1"))["message.sent"])
		w.finished(t, workflows.MessageWorkflowID(l.message("m2")))
		w.record(t, workflows.TypeMessage, "waits-behind", workflows.MessageWorkflowID(l.message("m2")))
	})
}

// The workflow of a message is terminated, or fails, before the message is in a
// turn that somebody could adopt: the janitor begins it again.
func TestAMessageIsBegunAgain(t *testing.T) {
	t.Parallel()
	w := newWatched(t, slog.LevelInfo)
	for name, c := range map[string]struct{ point, status string }{
		"before it is resolved": {"InboundMessage", "received"},
		"before it joins":       {"JoinTurn", "processing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := w.newLine(t, object{"access": object{"mode": "blocklist"}})
			stopped := w.gates.at(moment{When: before, Point: c.point, Chat: l.chat("c1"), Message: l.message("m1")})
			m := l.say(t, "m1", "c1", "hello")
			stopped.wait(t)
			w.comesTo(t, m, c.status)
			require.NoError(t, w.temporal.TerminateWorkflow(t.Context(), workflows.MessageWorkflowID(m), "", "by an operator"))
			_, err := w.db.Exec(t.Context(), `UPDATE messages SET created_at = created_at - interval '2 minutes' WHERE id = $1`, m)
			require.NoError(t, err)
			w.sweep(t)
			l.hears(t, 15*time.Second, "c1", "hello")
			stopped.release() // what the first one still does, nobody needs
			w.finished(t, workflows.MessageWorkflowID(m))
			require.Equal(t, "answered", w.status(t, m))
			require.Equal(t, 1, w.events(t, m)["message.sent"])
		})
	}
}

// orphan sends a message, waits for the moment, terminates the workflow and
// lets the turn be overdue.
func (w *watched) orphan(t *testing.T, l *line, text string, moment func()) uuid.UUID {
	t.Helper()
	message := l.say(t, "m1", "c1", text)
	moment()
	require.NoError(t, w.temporal.TerminateWorkflow(t.Context(), workflows.MessageWorkflowID(message), "", "by an operator"))
	turn := w.turnOf(t, message)
	_, err := w.db.Exec(t.Context(), `UPDATE turns SET due_at = now() - interval '1 second' WHERE id = $1`, turn.id)
	require.NoError(t, err)
	return turn.id
}

// sweep runs the janitor now.
func (w *watched) sweep(t *testing.T) {
	t.Helper()
	id := "sweep/" + uuid.NewString()
	run, err := w.temporal.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: id, TaskQueue: workflows.QueuePipeline},
		workflows.TypeJanitor)
	require.NoError(t, err)
	require.NoError(t, run.Get(t.Context(), nil))
	w.record(t, workflows.TypeJanitor, "adopts", id)
}

func (w *watched) adoptedBy(t *testing.T, l *line, turn uuid.UUID, want ...string) {
	t.Helper()
	l.hears(t, 15*time.Second, "c1", want...)
	w.finished(t, activities.TurnWorkflowID(turn, 2))
	require.Equal(t, "answered", w.status(t, l.message("m1")))
	events := w.events(t, l.message("m1"))
	require.Equal(t, len(want), events["message.sent"])
	require.Equal(t, 1, events["agent.response"])
	require.Equal(t, 1, events["turn.completed"])

	next := l.say(t, "m2", "c1", want[0])
	l.hears(t, 15*time.Second, "c1", append(want, want[0])...)
	w.finished(t, workflows.MessageWorkflowID(next))
	require.Equal(t, "answered", w.status(t, next))
}

type turnRow struct {
	id    uuid.UUID
	state string
	epoch int
}

// turnOf is the turn a message is in; the zero value while it is in none.
func (s *site) turnOf(t *testing.T, message uuid.UUID) (row turnRow) {
	t.Helper()
	rows, err := s.db.Query(t.Context(), `SELECT t.id, t.state, t.epoch FROM turns t JOIN messages m ON m.turn_id = t.id WHERE m.id = $1`, message)
	require.NoError(t, err)
	defer rows.Close()
	for rows.Next() {
		require.NoError(t, rows.Scan(&row.id, &row.state, &row.epoch))
	}
	require.NoError(t, rows.Err())
	return row
}

// outcomes are the statuses of messages and the outcomes of the turns that they led.
func (s *site) outcomes(t *testing.T, messages ...uuid.UUID) (list []string) {
	t.Helper()
	require.NoError(t, s.db.QueryRow(t.Context(), `SELECT array_agg(o ORDER BY o) FROM (
		SELECT status AS o FROM messages WHERE id = ANY($1) AND status <> 'answered'
		UNION ALL SELECT outcome FROM turns WHERE leader = ANY($1)
		UNION ALL SELECT DISTINCT status FROM messages WHERE id = ANY($1) AND status = 'answered') x`, messages).Scan(&list))
	return list
}
