package steps

import (
	"fmt"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/activities"
	"github.com/omnihub/omni/workflows"
)

// An agent that has been quick is called inside the workflow task; when it
// turns slow, the regular activity takes over and one answer stands.
func TestQuickAgent(t *testing.T) {
	t.Parallel()
	w := newWatched(t, slog.LevelInfo)
	agent := newLLM(t, says("quick", 0))
	l := w.newLine(t, object{"agent": agent.agent(nil)})
	const enough = 5
	for i := range enough + 1 {
		id := l.say(t, fmt.Sprint("m", i), fmt.Sprint("c", i), "hello")
		l.hears(t, 10*time.Second, fmt.Sprint("c", i), "quick")
		w.finished(t, workflows.MessageWorkflowID(id))
		want := 1
		if i == enough {
			want = 0
		}
		require.Equal(t, want, scheduled(w.history(t, workflows.MessageWorkflowID(id)), activities.AgentReply), "message %d", i)
	}

	agent.set(says("slow", 6*time.Second))
	began := time.Now()
	id := l.say(t, "slow", "slow", "hello")
	l.hears(t, 20*time.Second, "slow", "slow")
	require.Greater(t, time.Since(began), 9*time.Second, "four seconds of the first call, six of the second")
	w.finished(t, workflows.MessageWorkflowID(id))
	require.Equal(t, 1, scheduled(w.history(t, workflows.MessageWorkflowID(id)), activities.AgentReply))
	w.record(t, workflows.TypeMessage, "quick-agent-turns-slow", workflows.MessageWorkflowID(id))
	calls := agent.calls()[enough+1:]
	require.Len(t, calls, 2)
	require.Equal(t, calls[0], calls[1])
	require.Equal(t, "answered", w.status(t, id))
	require.Equal(t, 1, w.events(t, id)["agent.response"])
	require.Equal(t, 1, w.events(t, id)["message.sent"])
}

// An agent that never answers is asked for as long as the instance says. What
// is left is on record: each attempt, and a dead letter with its input.
func TestAgentThatNeverAnswers(t *testing.T) {
	t.Parallel()
	w := newWatched(t, slog.LevelInfo)
	silent := newLLM(t, blockedUntil(nil, ""))
	closed := newLLM(t, says("", 0))
	closed.Close()
	broken := newLLM(t, func(*http.Request, []string) (int, string) { return http.StatusServiceUnavailable, "overloaded" })
	for name, c := range map[string]struct {
		agent    *llm
		fallback string
	}{
		"silent, fallback":      {silent, "sorry"},
		"silent, no fallback":   {silent, ""},
		"unreachable":           {closed, ""},
		"unreachable, fallback": {closed, "sorry"},
		"broken":                {broken, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := w.newLine(t, object{"agent": c.agent.agent(object{"timeoutSeconds": 1, "retryForSeconds": 3, "fallbackText": c.fallback})})
			began := time.Now()
			id := l.say(t, "m1", "c1", "hello")
			w.finishedWithin(t, 20*time.Second, workflows.MessageWorkflowID(id))
			require.Less(t, time.Since(began), 10*time.Second, "not asked for longer than agent.retryForSeconds and one timeout")
			if c.fallback != "" {
				l.hears(t, time.Second, "c1", c.fallback)
			} else {
				require.Empty(t, l.out.Texts("c1"))
			}
			require.Equal(t, "failed", w.status(t, id))
			letters := w.deadLetters(t, id)
			require.Len(t, letters, 1)
			require.Equal(t, activities.AgentReply, letters[0].step)
			require.Greater(t, letters[0].attempts, 1)
			require.Contains(t, letters[0].input, "hello")
			// Each failed attempt, and the end of it.
			events := w.events(t, id)
			require.Equal(t, letters[0].attempts+1, events["agent.error"])
			require.Equal(t, 1, events["turn.failed"])
			if name == "unreachable" {
				w.record(t, workflows.TypeMessage, "agent-unreachable", workflows.MessageWorkflowID(id))
			}
			if c.agent == silent {
				require.Contains(t, letters[0].error, "no answer within 1 s")
			}
		})
	}
}

type deadLetter struct {
	step, error, input string
	attempts           int
}

func (s *site) deadLetters(t *testing.T, message uuid.UUID) []deadLetter {
	t.Helper()
	rows, err := s.db.Query(t.Context(), `SELECT step, error, input::text, attempts FROM dead_letters WHERE message_id = $1`, message)
	require.NoError(t, err)
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (d deadLetter, err error) {
		return d, row.Scan(&d.step, &d.error, &d.input, &d.attempts)
	})
	require.NoError(t, err)
	return list
}
