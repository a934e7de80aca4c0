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

	"github.com/omnihub/omni/activities"
	"github.com/omnihub/omni/channels/custom/customtest"
	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/workflows"
)

// actor is a webhook agent that wants things done: its answer to a text.
type actor struct {
	*httptest.Server
	mu    sync.Mutex
	asked []string // the texts, in order
}

func newActor(t *testing.T, answer func(text string) any) *actor {
	t.Helper()
	a := &actor{}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var turn struct{ Messages []struct{ Text string } }
		body, err := io.ReadAll(r.Body)
		if err != nil || json.Unmarshal(body, &turn) != nil || len(turn.Messages) == 0 {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		text := turn.Messages[0].Text
		a.mu.Lock()
		a.asked = append(a.asked, text)
		a.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(answer(text))
	}))
	t.Cleanup(a.Close)
	return a
}

func (a *actor) texts() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]string{}, a.asked...)
}

func (a *actor) agent(quick string) object {
	return object{"provider": "webhook", "apiUrl": a.URL + "/turn", "apiKey": "token", "quick": quick}
}

// saw is one thing that the platform was asked to do, in its order, in words.
func (l *line) saw(chat string) (list []string) {
	list = []string{}
	for _, c := range l.out.Bubbles() {
		m := c.Message
		switch {
		case m.Chat.ID != chat:
		case m.Kind == message.KindReaction:
			list = append(list, m.Content.Reaction.Emoji+" on "+m.TargetID)
		case m.Kind == message.KindMessage && m.Content.Type == message.TypeText:
			list = append(list, m.Content.Text)
		case m.Kind == message.KindMessage:
			list = append(list, string(m.Content.Type)+": "+m.Content.Text)
		}
	}
	return list
}

// eventData is what the events of a type say, in a correlation.
func (s *site) eventData(t *testing.T, correlation uuid.UUID, kind string) (list []map[string]any) {
	t.Helper()
	rows, err := s.db.Query(t.Context(), `SELECT data FROM events WHERE correlation_id = $1 AND type = $2 ORDER BY id`, correlation, kind)
	require.NoError(t, err)
	defer rows.Close()
	for rows.Next() {
		var data map[string]any
		require.NoError(t, rows.Scan(&data))
		list = append(list, data)
	}
	require.NoError(t, rows.Err())
	return list
}

// wanted is what an answer's actions came to: each with its problem, "" where it was done.
func wanted(t *testing.T, actions any) (list [][2]string) {
	t.Helper()
	raw, err := json.Marshal(actions)
	require.NoError(t, err)
	var all []struct{ Type, Problem string }
	require.NoError(t, json.Unmarshal(raw, &all))
	for _, a := range all {
		list = append(list, [2]string{a.Type, a.Problem})
	}
	return list
}

// step is one step of a message's trace, by its name.
func (s *site) step(t *testing.T, m uuid.UUID, name string) (detail map[string]any) {
	t.Helper()
	var trace struct {
		Steps []struct {
			Name   string
			Detail map[string]any
		}
	}
	s.call(t, http.MethodGet, "/api/v1/messages/"+m.String()+"/trace", nil, &trace)
	for _, step := range trace.Steps {
		if step.Name == name {
			return step.Detail
		}
	}
	require.Fail(t, "no such step", "%s in %v", name, trace.Steps)
	return nil
}

var everything = object{
	"parts": []any{"Here is what you asked for.",
		object{"type": "image", "text": "the map", "media": []object{{"url": "https://files.example.com/map.png", "mimeType": "image/png"}}},
		object{"type": "document", "media": []object{{"url": "https://files.example.com/terms.pdf", "filename": "terms.pdf"}}},
		object{"type": "buttons", "text": "Anything else?", "buttons": []object{{"id": "yes", "text": "Yes"}, {"id": "no", "text": "No"}}}},
	"actions": []any{
		object{"type": "react", "emoji": "👍"},
		object{"type": "handoff", "reason": "asked for a person", "untilSeconds": 3600},
		object{"type": "dance"}, "jump", object{"type": "react", "emoji": "no emoji at all"},
		object{"type": "react", "emoji": "👎", "messageId": "m1"}, object{"type": "handoff", "untilSeconds": -1},
	},
}

var expectedOutcome = [][2]string{{"react", ""}, {"handoff", ""}, {"dance", "unknown action"}, {"unknown", "is not an object with a type"},
	{"react", "emoji must be one emoji, or a platform's name of one"}, {"react", "messageId is not the id of a message"},
	{"handoff", "untilSeconds must be a whole number between 0 and 31536000"}}

// All that an agent may return is done once and in order, on the custom
// channel; what is unknown or out of bounds is said, by its field, in the
// event and in the trace.
func TestAgentActs(t *testing.T) {
	t.Parallel()
	w := newWatched(t, slog.LevelInfo)
	a := newActor(t, func(string) any { return everything })
	for _, quick := range []string{"never", "always"} {
		t.Run("quick "+quick, func(t *testing.T) {
			t.Parallel()
			l := w.newLine(t, object{"agent": a.agent(quick), "messaging": object{"followUps": []object{{"afterSeconds": 60, "text": "still there?"}}}})
			m := l.say(t, "m1", "c1", "everything, please")
			w.finished(t, workflows.MessageWorkflowID(m))
			require.Equal(t, []string{"Here is what you asked for.", "image: the map", "document: ", "buttons: Anything else?", "👍 on m1"}, l.saw("c1"))
			bubbles := l.out.Bubbles()
			require.Equal(t, "https://files.example.com/map.png", bubbles[1].Message.Content.Media[0].URL)
			require.Equal(t, []message.Button{{ID: "yes", Text: "Yes"}, {ID: "no", Text: "No"}}, bubbles[3].Message.Content.Buttons)
			require.Equal(t, "answered", w.status(t, m))

			require.True(t, l.paused(t, "c1"))
			takeovers := w.eventData(t, m, "chat.takeover")
			require.Len(t, takeovers, 1)
			require.Equal(t, []any{"asked for a person", "agent"}, []any{takeovers[0]["reason"], takeovers[0]["by"]})
			require.NotEmpty(t, takeovers[0]["until"])
			next := l.say(t, "m2", "c1", "hello?")
			w.comesTo(t, next, "paused")
			require.Zero(t, w.events(t, m)["followup.scheduled"], "whoever waits for a person is not asked again")

			responses := w.eventData(t, m, "agent.response")
			require.Len(t, responses, 1)
			require.Equal(t, expectedOutcome, wanted(t, responses[0]["actions"]))
			require.Equal(t, expectedOutcome, wanted(t, w.step(t, m, activities.AgentReply)["actions"]))
			w.record(t, workflows.TypeMessage, "acting-quick-"+quick, workflows.MessageWorkflowID(m))
		})
	}
}

// Saying nothing, and ending the conversation, are answers, too.
func TestAgentSaysNothingOrCloses(t *testing.T) {
	t.Parallel()
	w := newWatched(t, slog.LevelInfo)
	a := newActor(t, func(text string) any {
		switch text {
		case "lol":
			return object{"text": "not to be said", "actions": []object{{"type": "no_reply", "reason": "small talk"}}}
		case "bye":
			return object{"text": "Goodbye!", "actions": []object{{"type": "close", "reason": "done"}, {"type": "react", "emoji": "👋"}}}
		case "only dance":
			return object{"actions": []object{{"type": "dance"}}}
		default:
			return object{"text": "You said " + text}
		}
	})
	l := w.newLine(t, object{"agent": a.agent("never")})
	m := l.say(t, "m1", "c1", "lol")
	w.finished(t, workflows.MessageWorkflowID(m))
	require.Equal(t, "ignored", w.status(t, m))
	require.Empty(t, l.saw("c1"))
	require.Equal(t, "no_reply", w.eventData(t, m, "turn.completed")[0]["outcome"])
	require.Equal(t, [][2]string{{"no_reply", ""}}, wanted(t, w.step(t, m, activities.AgentReply)["actions"]))

	m = l.say(t, "m2", "c1", "bye")
	w.finished(t, workflows.MessageWorkflowID(m))
	require.Equal(t, []string{"Goodbye!", "👋 on m2"}, l.saw("c1"))
	resets := w.eventData(t, m, "chat.reset")
	require.Len(t, resets, 1)
	require.Equal(t, "agent", resets[0]["by"])
	require.False(t, l.paused(t, "c1"))
	m = l.say(t, "m3", "c1", "again")
	w.finished(t, workflows.MessageWorkflowID(m))
	require.Equal(t, []string{"Goodbye!", "👋 on m2", "You said again"}, l.saw("c1"))

	// Nothing said, and nothing that can be done: that is no answer.
	m = l.say(t, "m4", "c2", "only dance")
	w.finished(t, workflows.MessageWorkflowID(m))
	require.Equal(t, "failed", w.status(t, m))
	letters := w.deadLetters(t, m)
	require.Len(t, letters, 1)
	require.Contains(t, letters[0].error, "dance: unknown action")
}

// An emoji that the platform does not take is on record; the words, and what
// else was wanted, do not depend on it.
func TestReactionThatIsRefused(t *testing.T) {
	t.Parallel()
	w := newWatched(t, slog.LevelInfo)
	a := newActor(t, func(string) any {
		return object{"text": "Here you are.", "actions": []object{{"type": "react", "emoji": "🦖"}, {"type": "react", "emoji": "👍"}, {"type": "handoff"}}}
	})
	for name, emojis := range map[string]string{"the first": "🦖", "the last": "👍", "both": "🦖👍"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := w.newLine(t, object{"agent": a.agent("never")})
			l.out.Treat(func(m message.Outbound) customtest.Fault {
				if m.Kind == message.KindReaction && strings.Contains(emojis, m.Content.Reaction.Emoji) {
					return customtest.Fault{Status: http.StatusBadRequest, Body: "no such reaction"}
				}
				return customtest.Fault{}
			})
			m := l.say(t, "m1", "c1", "hello")
			w.finished(t, workflows.MessageWorkflowID(m))
			want := []string{"Here you are."}
			for _, emoji := range []string{"🦖", "👍"} {
				if !strings.Contains(emojis, emoji) {
					want = append(want, emoji+" on m1")
				}
			}
			require.Equal(t, want, l.saw("c1"))
			require.Equal(t, "answered", w.status(t, m))
			require.True(t, l.paused(t, "c1"))
			e := w.events(t, m)
			require.Equal(t, []int{3 - len(want), len(want), 1, 1}, []int{e["message.failed"], e["message.sent"], e["chat.takeover"], e["turn.completed"]})
			require.Empty(t, w.deadLetters(t, m))
		})
	}
}

// What a program sends later, by a call of its own, is done alike.
func TestAgentActsLater(t *testing.T) {
	t.Parallel()
	w := newWatched(t, slog.LevelInfo)
	p := newProgram(t)
	l := w.newLine(t, object{"agent": p.agent(nil)})
	m := l.say(t, "m1", "c1", "hello")
	turn := <-p.turns
	w.awaiting(t, turn.TurnID)
	for range 2 { // the same again changes nothing
		status, _ := w.replies(t, turn.TurnID, everything)
		require.Equal(t, http.StatusOK, status)
	}
	w.finished(t, workflows.MessageWorkflowID(m))
	require.Equal(t, []string{"Here is what you asked for.", "image: the map", "document: ", "buttons: Anything else?", "👍 on m1"}, l.saw("c1"))
	require.Len(t, w.eventData(t, m, "chat.takeover"), 1)
	require.True(t, l.paused(t, "c1"))
	require.Equal(t, expectedOutcome, wanted(t, w.eventData(t, m, "agent.response")[0]["actions"]))
}

// The hub is killed on either side of every step of an answer that acts: what
// is said is said once and in order, what is done is done once.
func TestKillWhileAnAgentActs(t *testing.T) {
	t.Parallel()
	speaks := object{"parts": []any{"one", "two"}, "actions": []any{object{"type": "react", "emoji": "👍"},
		object{"type": "handoff", "reason": "asked for a person"}, object{"type": "close"}, object{"type": "dance"}}}
	silent := object{"actions": []any{object{"type": "no_reply"}, object{"type": "handoff", "reason": "asked for a person"},
		object{"type": "close"}, object{"type": "dance"}}}
	type death struct {
		when, point string
		nth         int
	}
	lanes := map[string]struct {
		answer object
		deaths []death
	}{
		"words": {speaks, []death{{before, "AnswerTurn", 1}, {after, "AnswerTurn", 1}, {after, "ClaimPart", 1}, {after, "Send", 2}, {after, "ReceiptPart", 2}}},
		"reaction": {speaks, []death{{before, "ClaimPart", 3}, {after, "ClaimPart", 3}, {before, "Send", 3}, {after, "Send", 3},
			{before, "ReceiptPart", 3}, {after, "ReceiptPart", 3}}},
		"silence": {silent, []death{{before, "AnswerTurn", 1}, {after, "AnswerTurn", 1}, {before, "FinishTurn", 1}, {after, "FinishTurn", 1}}},
	}
	for name, lane := range lanes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newChild(t)
			a := newActor(t, func(string) any { return lane.answer })
			c.start(t, orders{})
			l := c.newLine(t, object{"agent": a.agent("never")})
			c.stop()
			for i, d := range lane.deaths {
				chat := fmt.Sprint("c", i)
				c.start(t, orders{Faults: []fault{{moment{When: d.when, Point: d.point, Chat: l.chat(chat), Platform: chat}, d.nth}}})
				l.say(t, chat+"m", chat, "hello")
				c.dies(t, 30*time.Second)
			}
			c.start(t, orders{})
			restarted := time.Now()
			for i, d := range lane.deaths {
				chat := fmt.Sprint("c", i)
				m, said := l.message(chat+"m"), fmt.Sprint(d)
				c.finishedWithin(t, 2*answeredWithin-time.Since(restarted), workflows.MessageWorkflowID(m))
				want, status := []string{"one", "two", "👍 on " + chat + "m"}, "answered"
				if name == "silence" {
					want, status = []string{}, "ignored"
				}
				require.Equal(t, want, l.saw(chat), said)
				require.Equal(t, status, c.status(t, m), said)
				require.True(t, l.paused(t, chat), said)
				e := c.events(t, m)
				require.Equal(t, []int{1, 1, 1, 1, len(want)}, []int{e["agent.response"], e["chat.takeover"], e["chat.reset"], e["turn.completed"],
					e["message.sent"]}, said)
				require.Contains(t, wanted(t, c.eventData(t, m, "agent.response")[0]["actions"]), [2]string{"dance", "unknown action"}, said)
			}
		})
	}
}

// A model calls the functions of the actions that it is offered, while what it
// says is shown: what it then leaves unsaid is taken back.
func TestModelActsWhileItIsHeard(t *testing.T) {
	t.Parallel()
	w := newWatched(t, slog.LevelInfo)
	call := func(name, arguments string) string {
		b, _ := json.Marshal(object{"choices": []object{{"index": 0, "finish_reason": "tool_calls", "delta": object{"tool_calls": []object{
			{"index": 0, "id": "c1", "type": "function", "function": object{"name": name, "arguments": arguments}}}}}}})
		return "data: " + string(b) + "\n\ndata: [DONE]\n\n"
	}
	for name, tt := range map[string]struct {
		call, status string
		read         []string
	}{
		"no reply": {call("no_reply", `{"reason":"not for me"}`), "ignored", []string{}},
		"handoff":  {call("handoff", `{"reason":"asked for a person","text":"A colleague takes over."}`), "answered", []string{"Let me see what I can do.", "A colleague takes over."}},
		"unknown":  {call("dance", `{}`), "answered", []string{"Let me see what I can do."}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var l *line
			a := newWild(t, func(w io.Writer, flush func(), gone <-chan struct{}) {
				_, _ = io.WriteString(w, delta("Let me see what I can do."))
				flush()
				for len(l.out.Texts("c1")) == 0 { // until it is shown
					select {
					case <-gone:
						return
					case <-time.After(10 * time.Millisecond):
					}
				}
				_, _ = io.WriteString(w, tt.call)
			})
			agent := a.streaming()
			agent["actions"] = []string{"no_reply", "handoff"}
			l = w.newLine(t, object{"agent": agent})
			m := l.say(t, "m1", "c1", "hello")
			w.finished(t, workflows.MessageWorkflowID(m))
			require.Equal(t, tt.read, l.reads("c1"))
			require.Equal(t, tt.status, w.status(t, m))
			require.Equal(t, name == "handoff", l.paused(t, "c1"))
			said := wanted(t, w.eventData(t, m, "agent.response")[0]["actions"])
			require.Len(t, said, 1)
			require.Equal(t, name == "unknown", said[0][1] == "unknown action")
		})
	}
}
