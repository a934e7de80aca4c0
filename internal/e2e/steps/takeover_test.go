package steps

import (
	"fmt"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels/custom/customtest"
	"github.com/omnihub/omni/workflows"
)

// writes is what the account itself wrote, as the platform tells.
func (l *line) writes(t *testing.T, id, chat, text string) uuid.UUID {
	t.Helper()
	event := customtest.Text(id, chat, "operator", text)
	event["isFromMe"] = true
	answer, err := l.Send(t.Context(), id, event)
	require.NoError(t, err)
	require.Equal(t, http.StatusAccepted, answer.Status, string(answer.Body))
	return l.message(id)
}

func (l *line) paused(t *testing.T, chat string) bool {
	t.Helper()
	var got struct{ Paused bool }
	l.site.call(t, http.MethodGet, "/api/v1/chats/"+l.chat(chat).String(), nil, &got)
	return got.Paused
}

func (l *line) becomesPaused(t *testing.T, chat string) {
	t.Helper()
	require.Eventually(t, func() bool { return l.paused(t, chat) }, answeredWithin, 10*time.Millisecond, "%s is taken over", chat)
}

// comesTo waits until a message, which may not be recorded yet, has a status.
func (s *site) comesTo(t *testing.T, message uuid.UUID, want string) {
	t.Helper()
	require.Eventually(t, func() bool {
		var got string
		err := s.db.QueryRow(t.Context(), `SELECT status FROM messages WHERE id = $1`, message).Scan(&got)
		return err == nil && got == want
	}, answeredWithin, 10*time.Millisecond, "%s comes to %s", message, want)
}

// A takeover, by call or by the operator's own words, stops what is in
// progress wherever it is: in the debounce, at the agent, between two parts.
func TestTakeoverStopsWhatIsInProgress(t *testing.T) {
	t.Parallel()
	w := newWatched(t, slog.LevelInfo)
	by := map[string]func(*testing.T, *line, string){
		"call": func(t *testing.T, l *line, chat string) {
			var got struct{ Paused bool }
			w.call(t, http.MethodPost, "/api/v1/chats/"+l.chat(chat).String()+"/takeover", object{"untilSeconds": 60, "reason": "test"}, &got)
			require.True(t, got.Paused)
		},
		"own message": func(t *testing.T, l *line, chat string) {
			l.writes(t, "own-"+chat, chat, "I take it from here")
		},
	}
	for name, takeover := range by {
		t.Run(name+", in the debounce", func(t *testing.T) {
			t.Parallel()
			l := w.newLine(t, object{"messaging": object{"takeoverOnOwnMessageSeconds": 60, "debounceMode": "fixed", "debounceMs": 10_000}})
			m := l.say(t, "m1", "c1", "one")
			require.Eventually(t, func() bool { return w.turnOf(t, m).state == "collecting" }, 20*time.Second, 10*time.Millisecond)
			takeover(t, l, "c1")
			w.comesTo(t, m, "cancelled")
			w.finished(t, workflows.MessageWorkflowID(m))
			require.Empty(t, l.out.Texts("c1"))
		})
		t.Run(name+", at the agent", func(t *testing.T) {
			t.Parallel()
			cuts := make(chan cut, 10)
			agent := newLLM(t, answersBoth(cuts))
			l := w.newLine(t, object{"agent": agent.agent(object{"quick": "never"}), "messaging": object{"takeoverOnOwnMessageSeconds": 60}})
			m := l.say(t, "m1", "c1", "one")
			<-agent.called
			began := time.Now()
			takeover(t, l, "c1")
			c := <-cuts
			require.Less(t, c.at.Sub(began), cutWithin, "cut at the provider's connection")
			w.comesTo(t, m, "cancelled")
			w.finished(t, workflows.MessageWorkflowID(m))
			require.Empty(t, l.out.Texts("c1"))
			next := l.say(t, "m2", "c1", "two")
			w.comesTo(t, next, "paused")
			require.Len(t, agent.calls(), 1)
		})
		t.Run(name+", between two parts", func(t *testing.T) {
			t.Parallel()
			l := w.newLine(t, object{"messaging": object{"takeoverOnOwnMessageSeconds": 60, "splitDelayMs": 60_000}})
			m := l.say(t, "m1", "c1", "one\n\ntwo")
			l.hears(t, 10*time.Second, "c1", "one")
			takeover(t, l, "c1")
			w.comesTo(t, m, "cancelled")
			w.finished(t, workflows.MessageWorkflowID(m))
			require.Equal(t, []string{"sent", "cancelled"}, w.replyParts(t, l.chat("c1")))
			require.Equal(t, []string{"one"}, l.out.Texts("c1"))
		})
	}
}

// replyParts are the statuses of the parts of a chat's replies.
func (s *site) replyParts(t *testing.T, chat uuid.UUID) (statuses []string) {
	t.Helper()
	require.NoError(t, s.db.QueryRow(t.Context(), `SELECT coalesce(array_agg(status ORDER BY part_index), '{}') FROM messages
		WHERE chat_id = $1 AND direction = 'outbound' AND NOT from_me`, chat).Scan(&statuses))
	return statuses
}

// The platform tells us of our own part while it is still on its way to us
// that it took it. That is not the operator; what he writes then is.
func TestEchoDuringTheSendIsNotATakeover(t *testing.T) {
	t.Parallel()
	w := newWatched(t, slog.LevelInfo)
	l := w.newLine(t, object{"messaging": object{"takeoverOnOwnMessageSeconds": 60}})
	gate := w.gates.at(moment{When: after, Point: "Send", Platform: "c1", Instance: l.id})
	m := l.say(t, "m1", "c1", "one\n\ntwo")
	gate.wait(t) // the platform has it; its receipt is not written down yet
	calls := l.out.Calls()
	require.Len(t, calls, 1)
	echo := l.writes(t, calls[0].ExternalID, "c1", "one")
	words := l.writes(t, "phone-1", "c2", "in another chat nothing waits")
	w.comesTo(t, words, "sent")
	require.False(t, l.paused(t, "c1"))
	gate.release()
	l.hears(t, 10*time.Second, "c1", "one", "two")
	w.finished(t, workflows.MessageWorkflowID(m))
	require.Equal(t, "answered", w.status(t, m))
	own := l.writes(t, "phone-2", "c1", "hello, it is me")
	w.comesTo(t, own, "sent")
	l.becomesPaused(t, "c1")
	var known bool
	require.NoError(t, w.db.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM messages WHERE id = $1)`, echo).Scan(&known))
	require.False(t, known, "an echo is not recorded as a message of its own")
	require.Equal(t, 1, w.events(t, own)["chat.takeover"])
}

// The hub is killed as soon as the operator's words are acknowledged. The chat
// is his all the same, until the time is over or he gives it back.
func TestTakeoverOutlivesTheHub(t *testing.T) {
	t.Parallel()
	c := newChild(t)
	c.start(t, orders{})
	const seconds = 3600 // more than any machine takes for this test
	l := c.newLine(t, object{"messaging": object{"takeoverOnOwnMessageSeconds": seconds}})
	for _, chat := range []string{"by-time", "by-call"} {
		l.say(t, chat+"-m1", chat, "hello")
		l.hears(t, 10*time.Second, chat, "hello")
	}
	own := time.Now()
	for _, chat := range []string{"by-time", "by-call"} {
		l.writes(t, chat+"-own", chat, "it is me")
	}
	written := time.Now()
	require.NoError(t, c.cmd.Process.Kill())
	<-c.done
	c.cmd = nil
	c.start(t, orders{})
	for _, chat := range []string{"by-time", "by-call"} {
		l.becomesPaused(t, chat)
		c.comesTo(t, l.say(t, chat+"-m2", chat, "thanks"), "paused")
	}
	var until time.Time
	require.NoError(t, c.db.QueryRow(t.Context(), `SELECT paused_until FROM chats WHERE id = $1`, l.chat("by-time")).Scan(&until))
	require.WithinRange(t, until, own.Add(seconds*time.Second), written.Add(seconds*time.Second), "counted from his words, and not from the restart")
	var got struct{ Paused bool }
	c.call(t, http.MethodPost, "/api/v1/chats/"+l.chat("by-call").String()+"/resume", object{}, &got)
	require.False(t, got.Paused)
	l.say(t, "by-call-m3", "by-call", "and now")
	l.hears(t, 10*time.Second, "by-call", "hello", "and now")
	// His time passes.
	_, err := c.db.Exec(t.Context(), `UPDATE chats SET paused_until = clock_timestamp() WHERE id = $1`, l.chat("by-time"))
	require.NoError(t, err)
	require.False(t, l.paused(t, "by-time"))
	l.say(t, "by-time-m3", "by-time", "and now")
	l.hears(t, 10*time.Second, "by-time", "hello", "and now")
	for chat, reason := range map[string]string{"by-call": "by call", "by-time": "the time is over"} {
		var said string
		require.NoError(t, c.db.QueryRow(t.Context(), `SELECT string_agg(data ->> 'reason', ',') FROM events WHERE chat_id = $1 AND type = 'chat.resumed'`,
			l.chat(chat)).Scan(&said))
		require.Equal(t, reason, said, fmt.Sprint(chat))
	}
}
