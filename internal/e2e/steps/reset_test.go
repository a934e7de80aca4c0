package steps

import (
	"fmt"
	"log/slog"
	"net/http"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/workflows"
)

// After a reset the agent is told nothing of what was said before: by call, by
// a message that is the configured emoji, by a reaction with it.
func TestReset(t *testing.T) {
	t.Parallel()
	w := newWatched(t, slog.LevelInfo)
	agent := newLLM(t, func(_ *http.Request, texts []string) (int, string) {
		return http.StatusOK, fmt.Sprint(len(texts), " known")
	})
	// ask says something and returns how many texts of people the agent was told.
	ask := func(t *testing.T, l *line, n int, want string) {
		t.Helper()
		id := fmt.Sprint("m", n)
		l.say(t, id, "c1", id)
		w.finished(t, workflows.MessageWorkflowID(l.message(id)))
		texts := l.out.Texts("c1")
		require.Equal(t, want, texts[len(texts)-1])
	}
	newLine := func(t *testing.T, session string) *line {
		t.Helper()
		return w.newLine(t, object{"agent": agent.agent(object{"session": session}), "messaging": object{"resetEmoji": "🔄",
			"followUps": []object{{"afterSeconds": 3600, "text": "still there?"}}}})
	}
	for _, session := range []string{"chat", "user", "user-in-chat"} {
		t.Run("by call, session "+session, func(t *testing.T) {
			t.Parallel()
			l := newLine(t, session)
			ask(t, l, 1, "1 known")
			ask(t, l, 2, "2 known")
			w.call(t, http.MethodPost, "/api/v1/chats/"+l.chat("c1").String()+"/reset", nil, &struct{}{})
			ask(t, l, 3, "1 known")
			ask(t, l, 4, "2 known")
			require.Equal(t, 1, w.events(t, l.message("m2"))["followup.cancelled"], "what was to follow belongs to the former conversation")
		})
	}
	t.Run("by message", func(t *testing.T) {
		t.Parallel()
		l := newLine(t, "chat")
		ask(t, l, 1, "1 known")
		reset := l.say(t, "r1", "c1", "🔄")
		w.finished(t, workflows.MessageWorkflowID(reset))
		require.Equal(t, []string{"ignored", "begins the conversation anew"}, w.statusReason(t, reset))
		require.Equal(t, 1, w.events(t, reset)["chat.reset"])
		require.Zero(t, w.events(t, reset)["turn.started"])
		ask(t, l, 2, "1 known")
		require.Len(t, l.out.Texts("c1"), 2)
		w.record(t, workflows.TypeMessage, "resets", workflows.MessageWorkflowID(reset))
	})
	t.Run("by reaction", func(t *testing.T) {
		t.Parallel()
		l := newLine(t, "chat")
		ask(t, l, 1, "1 known")
		a, err := l.Send(t.Context(), "r1", object{"id": "r1", "kind": "reaction", "chat": object{"id": "c1"}, "sender": object{"id": "u-c1"},
			"targetId": "m1", "content": object{"reaction": object{"emoji": "🔄"}}})
		require.NoError(t, err)
		reset := uuid.MustParse(a.MessageID)
		w.finished(t, workflows.MessageWorkflowID(reset))
		require.Equal(t, []string{"ignored", "begins the conversation anew"}, w.statusReason(t, reset))
		ask(t, l, 2, "1 known")
	})
	t.Run("signalled while it resets", func(t *testing.T) {
		t.Parallel()
		l := newLine(t, "chat")
		gate := w.gates.at(moment{When: after, Point: "ResetByMessage", Message: l.message("r1")})
		reset := l.say(t, "r1", "c1", "🔄")
		gate.wait(t)
		require.NoError(t, w.temporal.SignalWorkflow(t.Context(), workflows.MessageWorkflowID(reset), "", "wake", nil))
		gate.release()
		w.finished(t, workflows.MessageWorkflowID(reset))
		require.Equal(t, 1, w.events(t, reset)["chat.reset"], "run again, it resets once")
	})
}

func (s *site) statusReason(t *testing.T, message uuid.UUID) []string {
	t.Helper()
	var status, reason string
	require.NoError(t, s.db.QueryRow(t.Context(), `SELECT status, status_reason FROM messages WHERE id = $1`, message).Scan(&status, &reason))
	return []string{status, reason}
}
