package steps

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/workflows"
)

// talker is a model that says its answer word by word.
type talker struct {
	*httptest.Server
	mu    sync.Mutex
	talks [][]string     // what each call was told: "user: hello"
	asked map[string]int // how often it was told the same thing last
}

// newTalker says the nth text in the nth call, and the last one from then on.
func newTalker(t *testing.T, pause time.Duration, texts ...string) *talker {
	t.Helper()
	calls := 0
	return newTalkerWith(t, pause, func(string, int) string {
		calls++
		return texts[min(calls, len(texts))-1]
	})
}

// newTalkerWith says what answer has for the nth call (from 1) that is told
// the same thing last. It is asked by one call at a time.
func newTalkerWith(t *testing.T, pause time.Duration, answer func(asked string, nth int) string) *talker {
	t.Helper()
	k := &talker{asked: map[string]int{}}
	k.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text := k.hear(r, answer)
		w.Header().Set("Content-Type", "text/event-stream")
		for _, word := range strings.SplitAfter(text, " ") {
			b, _ := json.Marshal(object{"model": "test", "choices": []object{{"index": 0, "delta": object{"content": word}}}})
			_, _ = fmt.Fprintf(w, "data: %s\n\n", b)
			w.(http.Flusher).Flush() //nolint:forcetypeassert // the server's own
			select {
			case <-time.After(pause):
			case <-r.Context().Done():
				return
			}
		}
		_, _ = io.WriteString(w, `data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`+"\n\ndata: [DONE]\n\n")
	}))
	t.Cleanup(func() {
		k.CloseClientConnections()
		k.Close()
	})
	return k
}

// hear keeps what a call was told, and returns what to say.
func (k *talker) hear(r *http.Request, answer func(asked string, nth int) string) string {
	var in struct {
		Messages []struct{ Role, Content string }
	}
	_ = json.NewDecoder(r.Body).Decode(&in)
	var talk []string
	asked := ""
	for _, m := range in.Messages {
		talk = append(talk, m.Role+": "+m.Content)
		asked = m.Content
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.talks = append(k.talks, talk)
	k.asked[asked]++
	return answer(asked, k.asked[asked])
}

func (k *talker) agent() object {
	return object{"provider": "openai", "apiUrl": k.URL + "/v1", "apiKey": "sk-test", "model": "test", "streaming": true}
}

// reads is what people read in a chat by now.
func (l *line) reads(chat string) []string {
	var order []string
	texts := map[string]string{}
	for _, c := range l.out.Bubbles() {
		m := c.Message
		if m.Chat.ID != chat {
			continue
		}
		switch m.Kind {
		case message.KindMessage:
			order = append(order, c.ExternalID)
			texts[c.ExternalID] = m.Content.Text
		case message.KindEdit:
			texts[m.TargetID] = m.Content.Text
		case message.KindDelete:
			delete(texts, m.TargetID)
		}
	}
	read := []string{}
	for _, id := range order {
		if text, there := texts[id]; there {
			read = append(read, text)
		}
	}
	return read
}

// comesToRead waits until a chat reads as it should.
func (l *line) comesToRead(t *testing.T, within time.Duration, chat string, want ...string) {
	t.Helper()
	require.Eventually(t, func() bool { return fmt.Sprint(l.reads(chat)) == fmt.Sprint(want) }, within, 10*time.Millisecond,
		"%s: %q", chat, want)
}

// begins waits until a chat shows the beginning of an answer.
func (l *line) begins(t *testing.T, chat, answer string) {
	t.Helper()
	require.Eventually(t, func() bool {
		read := l.reads(chat)
		return len(read) > 0 && read[0] != "" && len(read[0]) < len(answer) && strings.HasPrefix(answer, read[0])
	}, 20*time.Second, 5*time.Millisecond, "%s shows the beginning", chat)
}

// endless is said for as long as anybody listens: what is to happen meanwhile
// happens, however slow the machine is.
var endless = "The model goes on" + strings.Repeat(" and on", 500)

const (
	firstPart  = "The first paragraph is said slowly, word by word, so that it is shown while it is being said."
	secondPart = "The second one follows it, and is long enough to be shown before it is whole, too, as a message of its own."
)

func TestAnAnswerIsWrittenWhileItIsSaid(t *testing.T) {
	t.Parallel()
	w := newWatched(t, slog.LevelInfo)
	agent := newTalker(t, 120*time.Millisecond, firstPart+"\n\n"+secondPart)
	l := w.newLine(t, object{"agent": agent.agent()})
	m := l.say(t, "m1", "c1", "hello")
	l.begins(t, "c1", firstPart)
	l.comesToRead(t, 30*time.Second, "c1", firstPart, secondPart)
	w.finished(t, workflows.MessageWorkflowID(m))
	require.Equal(t, "answered", w.status(t, m))
	require.Equal(t, []string{firstPart, secondPart}, w.said(t, l.chat("c1")))
	e := w.events(t, m)
	require.Equal(t, []int{2, 2, 1, 1}, []int{e["message.sending"], e["message.sent"], e["agent.response"], e["turn.completed"]})
	require.Less(t, len(l.out.Texts("c1")), 3, "two messages, however many edits")
	w.record(t, workflows.TypeMessage, "streamed", workflows.MessageWorkflowID(m))
}

// said are the texts that the hub counts as delivered in a chat.
func (s *site) said(t *testing.T, chat uuid.UUID) (texts []string) {
	t.Helper()
	require.NoError(t, s.db.QueryRow(t.Context(), `SELECT coalesce(array_agg(text ORDER BY created_at, part_index), '{}') FROM messages
		WHERE chat_id = $1 AND direction = 'outbound' AND status IN ('sent', 'delivered', 'read') AND deleted_at IS NULL`, chat).Scan(&texts))
	return texts
}

const otherPart = "The model says something else until the hub is killed, and it says it for long enough to be cut off."

// untilCut is what the model says until the hub is killed: to its end where
// that is when the hub dies.
func untilCut(point string) string {
	switch point {
	case "AnswerTurn", "ClaimPart", "ReceiptPart":
		return otherPart
	default:
		return endless
	}
}

// The hub is killed on either side of every step in which an answer is shown
// while it is said. The chat has each part once, whole.
func TestKillWhileAnAnswerIsShown(t *testing.T) {
	t.Parallel()
	type death struct {
		when, point string
		nth         int
	}
	lanes := map[string][]death{
		"first send": {{before, "ClaimLive", 1}, {after, "ClaimLive", 1}, {before, "Send", 1}, {after, "Send", 1}, {before, "ShownLive", 1}},
		"edits":      {{after, "ShownLive", 1}, {before, "Edit", 1}, {after, "Edit", 1}, {before, "ShownLive", 2}, {after, "ShownLive", 2}},
		"final edit": {{before, "AnswerTurn", 1}, {after, "AnswerTurn", 1}, {before, "ClaimPart", 1}, {after, "ClaimPart", 1},
			{before, "ReceiptPart", 1}, {after, "ReceiptPart", 1}},
	}
	for name, deaths := range lanes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newChild(t)
			first := map[string]string{} // by what is asked: another text than later, as a model does not repeat itself
			for i, d := range deaths {
				first[fmt.Sprint("hello ", i)] = untilCut(d.point)
			}
			agent := newTalkerWith(t, 100*time.Millisecond, func(asked string, nth int) string {
				if nth == 1 {
					return first[asked]
				}
				return firstPart + "\n\n" + secondPart
			})
			c.start(t, orders{})
			l := c.newLine(t, object{"agent": agent.agent()})
			c.stop()
			for i, d := range deaths {
				chat := fmt.Sprint("c", i)
				m := moment{When: d.when, Point: d.point, Chat: l.chat(chat), Platform: chat}
				c.start(t, orders{Faults: []fault{{m, d.nth}}})
				l.say(t, chat+"m", chat, fmt.Sprint("hello ", i))
				c.dies(t, 30*time.Second)
				t.Logf("killed %s %s #%d, when it read %q", d.when, d.point, d.nth, l.reads(chat))
			}
			c.start(t, orders{})
			restarted := time.Now()
			for i, d := range deaths {
				chat := fmt.Sprint("c", i)
				id := l.message(chat + "m")
				c.finishedWithin(t, 3*answeredWithin-time.Since(restarted), workflows.MessageWorkflowID(id))
				said := c.said(t, l.chat(chat))
				require.Contains(t, [][]string{{otherPart}, {firstPart, secondPart}}, said, "%s %s", d.when, d.point)
				require.Equal(t, said, l.reads(chat), "%s %s: each part once, whole", d.when, d.point)
				require.Equal(t, "answered", c.status(t, id))
				require.Equal(t, 1, c.events(t, id)["agent.response"])
			}
		})
	}
}
