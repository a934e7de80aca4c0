package steps

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels/custom/customtest"
	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/workflows"
)

// refusing treats the calls of those kinds as refused for good, but for the
// first so many edits.
func refusing(edits int64, kinds ...message.Kind) func(message.Outbound) customtest.Fault {
	var n atomic.Int64
	return func(m message.Outbound) customtest.Fault {
		for _, kind := range kinds {
			if m.Kind == kind && (kind != message.KindEdit || n.Add(1) > edits) {
				return customtest.Fault{Status: http.StatusBadRequest, Body: "it cannot be edited any more"}
			}
		}
		return customtest.Fault{}
	}
}

// The platform does not let the message be edited, from the first time or from
// a later one: the answer is there in the end, once and whole. What could not
// be taken back is continued.
func TestEditsThatAreRefused(t *testing.T) {
	t.Parallel()
	w := newWatched(t, slog.LevelInfo)
	for name, tt := range map[string]struct {
		edits     int64
		kinds     []message.Kind
		continued bool
	}{
		"all of them":                  {0, []message.Kind{message.KindEdit}, false},
		"after two":                    {2, []message.Kind{message.KindEdit}, false},
		"and it cannot be deleted":     {0, []message.Kind{message.KindEdit, message.KindDelete}, true},
		"later, and not deleted":       {2, []message.Kind{message.KindEdit, message.KindDelete}, true},
		"only its deletion is refused": {0, []message.Kind{message.KindDelete}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			agent := newTalker(t, 100*time.Millisecond, firstPart+"\n\n"+secondPart)
			l := w.newLine(t, object{"agent": agent.agent()})
			l.out.Treat(refusing(tt.edits, tt.kinds...))
			m := l.say(t, "m1", "c1", "hello")
			w.finishedWithin(t, 30*time.Second, workflows.MessageWorkflowID(m))
			require.Equal(t, "answered", w.status(t, m))
			read := l.reads("c1")
			if !tt.continued {
				require.Equal(t, []string{firstPart, secondPart}, read)
			} else {
				require.Equal(t, strings.Fields(firstPart+" "+secondPart), strings.Fields(strings.Join(read, " ")), "each word once, in order")
			}
			require.Equal(t, []string{firstPart, secondPart}, w.said(t, l.chat("c1")))
			require.Equal(t, 1, w.events(t, m)["agent.response"])
			require.Empty(t, w.deadLetters(t, m))
		})
	}
}

// A platform that limits an edit is left alone as long as it says, others of
// its chats are not, and the last edit has the whole text.
func TestEditsThatAreLimited(t *testing.T) {
	t.Parallel()
	w := newWatched(t, slog.LevelInfo)
	agent := newTalker(t, 100*time.Millisecond, firstPart)
	l := w.newLine(t, object{"agent": agent.agent()})
	const wait = 10 * time.Second
	var limited atomic.Int64
	l.out.Treat(func(m message.Outbound) customtest.Fault {
		if m.Kind == message.KindEdit && m.Chat.ID == "limited" && limited.CompareAndSwap(0, time.Now().UnixNano()) {
			return customtest.Fault{Status: http.StatusTooManyRequests, RetryAfter: "10"}
		}
		return customtest.Fault{}
	})
	m := l.say(t, "m1", "limited", "hello")
	require.Eventually(t, func() bool { return limited.Load() > 0 }, 20*time.Second, 5*time.Millisecond)
	told := time.Unix(0, limited.Load())
	other := l.say(t, "m2", "other", "hello")
	l.comesToRead(t, 20*time.Second, "other", firstPart)
	w.finished(t, workflows.MessageWorkflowID(other))
	require.Less(t, time.Since(told), wait, "the other chat did not wait for this one")
	require.NotEqual(t, []string{firstPart}, l.reads("limited"))
	l.comesToRead(t, 20*time.Second, "limited", firstPart)
	w.finished(t, workflows.MessageWorkflowID(m))
	require.Equal(t, "answered", w.status(t, m))
	for _, c := range l.out.Calls() {
		if c.Message.Chat.ID == "limited" && c.Message.Kind == message.KindEdit && c.At.After(told.Add(50*time.Millisecond)) {
			require.GreaterOrEqual(t, c.At.Sub(told), wait-50*time.Millisecond, "not before it was told")
		}
	}
}

// A person takes the chat over while an answer is shown: it stops growing at
// once, and what people saw of it is what is told of it from then on.
func TestTakeoverWhileAnAnswerIsShown(t *testing.T) {
	t.Parallel()
	w := newWatched(t, slog.LevelInfo)
	agent := newTalker(t, 100*time.Millisecond, endless, "Here I am again.")
	l := w.newLine(t, object{"agent": agent.agent()})
	m := l.say(t, "m1", "c1", "hello")
	l.begins(t, "c1", endless)
	began := time.Now()
	w.call(t, http.MethodPost, "/api/v1/chats/"+l.chat("c1").String()+"/takeover", object{"reason": "I do it"}, &struct{}{})
	w.comesTo(t, m, "cancelled")
	require.Less(t, time.Since(began), 5*time.Second)
	w.finished(t, workflows.MessageWorkflowID(m))
	var status, reason, text string
	require.NoError(t, w.db.QueryRow(t.Context(), `SELECT status, status_reason, text FROM messages WHERE chat_id = $1 AND direction = 'outbound'`,
		l.chat("c1")).Scan(&status, &reason, &text))
	read := l.reads("c1")
	require.Len(t, read, 1)
	require.Less(t, len(read[0]), len(endless))
	require.Equal(t, []string{"sent", "cut off: cancelled", read[0]}, []string{status, reason, text}, "what was shown is told as it was")
	require.Equal(t, true, w.eventData(t, m, "message.sent")[0]["partial"])
	require.Zero(t, w.events(t, m)["agent.response"])

	w.call(t, http.MethodPost, "/api/v1/chats/"+l.chat("c1").String()+"/resume", object{}, &struct{}{})
	next := l.say(t, "m2", "c1", "are you there?")
	w.finished(t, workflows.MessageWorkflowID(next))
	require.Equal(t, []string{read[0], "Here I am again."}, l.reads("c1"), "nothing more of the first answer")
	require.Contains(t, agent.told(1), "assistant: "+read[0])
}

// A message that comes while an answer is shown cuts it: what was shown stays,
// the agent is told of it, and answers both.
func TestInterruptWhileAnAnswerIsShown(t *testing.T) {
	t.Parallel()
	w := newWatched(t, slog.LevelInfo)
	agent := newTalker(t, 100*time.Millisecond, endless, secondPart)
	l := w.newLine(t, object{"agent": agent.agent(), "messaging": interrupting(nil)})
	first := l.say(t, "m1", "c1", "one")
	l.begins(t, "c1", endless)
	second := l.say(t, "m2", "c1", "two")
	w.finishedWithin(t, 30*time.Second, workflows.MessageWorkflowID(first))
	w.finishedWithin(t, 30*time.Second, workflows.MessageWorkflowID(second))
	read := l.reads("c1")
	require.Len(t, read, 2)
	require.True(t, strings.HasPrefix(endless, read[0]) && len(read[0]) < len(endless), read[0])
	require.Equal(t, secondPart, read[1])
	require.Equal(t, []string{"user: one", "assistant: " + read[0], "user: two"}, agent.told(1))
	require.Equal(t, "cut off: interrupted", reasonOf(t, w.site, l.chat("c1")))
	require.Equal(t, []string{"answered", "answered"}, []string{w.status(t, first), w.status(t, second)})
	require.Equal(t, 1, w.events(t, second)["agent.response"])
}

// reasonOf is what the first message to a chat says of its status.
func reasonOf(t *testing.T, s *site, chat uuid.UUID) (reason string) {
	t.Helper()
	require.NoError(t, s.db.QueryRow(t.Context(), `SELECT status_reason FROM messages WHERE chat_id = $1 AND direction = 'outbound'
		ORDER BY created_at LIMIT 1`, chat).Scan(&reason))
	return reason
}

// told is what the nth call (from 0) was told of the conversation.
func (k *talker) told(n int) []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	if n >= len(k.talks) {
		return []string{fmt.Sprintf("there were only %d calls", len(k.talks))}
	}
	return k.talks[n]
}

// Whoever listens on the WebSocket reads an answer while it is said, piece by
// piece and without a gap; nothing of it is in the log.
func TestListenersReadAnAnswerWhileItIsSaid(t *testing.T) {
	t.Parallel()
	w := newWatched(t, slog.LevelInfo)
	agent := newTalker(t, 60*time.Millisecond, firstPart)
	l := w.newLine(t, object{"agent": agent.agent()})
	address := strings.Replace(w.url("/ws/events?type=agent.stream&instanceId="+l.id.String()), "http", "ws", 1)
	conn, _, err := websocket.Dial(t.Context(), address, &websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer " + apiKey}}})
	require.NoError(t, err)
	defer func() { _ = conn.CloseNow() }()
	m := l.say(t, "m1", "c1", "hello")
	var text string
	var frames int
	for state := ""; state != "done"; {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		_, raw, err := conn.Read(ctx)
		cancel()
		require.NoError(t, err)
		var e struct {
			Type, Position, CorrelationID string
			Data                          struct {
				Seq, Offset int
				Text, State string
			}
		}
		require.NoError(t, json.Unmarshal(raw, &e))
		frames++
		require.Equal(t, []any{"agent.stream", "", m.String(), frames, len([]rune(text))}, []any{e.Type, e.Position, e.CorrelationID, e.Data.Seq, e.Data.Offset})
		text, state = text+e.Data.Text, e.Data.State
	}
	require.Equal(t, firstPart, text)
	require.Greater(t, frames, 5)
	w.finished(t, workflows.MessageWorkflowID(m))
	require.Zero(t, w.events(t, m)["agent.stream"])
}
