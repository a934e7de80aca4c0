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
	"github.com/omnihub/omni/workflows"
)

// gatekeeper is a model server with two models: "small" decides whether "big"
// is asked.
type gatekeeper struct {
	*httptest.Server
	mu      sync.Mutex
	verdict http.HandlerFunc
	models  []string
}

func newGatekeeper(t *testing.T, verdict http.HandlerFunc) *gatekeeper {
	t.Helper()
	g := &gatekeeper{verdict: verdict}
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var in struct{ Model string }
		_ = json.Unmarshal(body, &in)
		g.mu.Lock()
		g.models = append(g.models, in.Model)
		g.mu.Unlock()
		if in.Model == "small" {
			g.verdict(w, r)
			return
		}
		completes(w, "the answer")
	}))
	t.Cleanup(func() {
		g.CloseClientConnections()
		g.Close()
	})
	return g
}

func completes(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(object{"id": "c", "object": "chat.completion", "created": 1, "model": "test",
		"choices": []object{{"index": 0, "finish_reason": "stop", "message": object{"role": "assistant", "content": text}}}})
}

func verdict(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { completes(w, text) }
}

// asked are the models that were called since the last time.
func (g *gatekeeper) asked() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	models := g.models
	g.models = nil
	return models
}

func (g *gatekeeper) agent(quick string) object {
	return object{"provider": "openai", "apiUrl": g.URL + "/v1", "apiKey": "sk-test", "model": "big", "quick": quick,
		"gate": object{"mode": "model", "model": "small", "prompt": "Answer questions about tickets."}}
}

// asks writes in a group, to the account.
func (l *line) asks(t *testing.T, id, group, text string) uuid.UUID {
	t.Helper()
	event := customtest.Text(id, group, "ana", text)
	event["chat"] = object{"id": group, "type": "group"}
	event["mentions"] = []string{"bot"}
	answer, err := l.Send(t.Context(), id, event)
	require.NoError(t, err)
	require.Equal(t, http.StatusAccepted, answer.Status, string(answer.Body))
	return l.message(id)
}

// A gate holds the agent back in groups; where it fails, or takes too long,
// the agent is asked. Each time the event and the trace say what it decided.
func TestGate(t *testing.T) {
	t.Parallel()
	w := newWatched(t, slog.LevelInfo)
	hangs := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	for _, quick := range []string{"never", "always"} {
		for name, tt := range map[string]struct {
			verdict http.HandlerFunc
			asked   []string
			failed  string
		}{
			"yes":      {verdict("YES"), []string{"small", "big"}, ""},
			"no":       {verdict("no"), []string{"small"}, ""},
			"broken":   {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }, []string{"small", "big"}, "500"},
			"refused":  {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }, []string{"small", "big"}, "401"},
			"too slow": {hangs, []string{"small", "big"}, "within 3 s"},
			"nonsense": {verdict("It depends."), []string{"small", "big"}, "neither yes nor no"},
		} {
			t.Run(name+", quick "+quick, func(t *testing.T) {
				t.Parallel()
				g := newGatekeeper(t, tt.verdict)
				l := w.newLine(t, object{"agent": g.agent(quick)})
				began := time.Now()
				m := l.asks(t, "m1", "g1", "when does it open?")
				w.finished(t, workflows.MessageWorkflowID(m))
				require.Less(t, time.Since(began), 20*time.Second)
				asked := g.asked()
				if name == "too slow" && quick == "always" { // the quick path's time is over: the regular one begins anew
					require.Equal(t, "big", asked[len(asked)-1])
				} else {
					require.Equal(t, tt.asked, asked)
				}
				said, _ := w.eventData(t, m, "agent.response")[0]["gate"].(map[string]any)
				require.Equal(t, said, w.step(t, m, activities.AgentReply)["gate"])
				require.Equal(t, len(tt.asked) == 2, said["answer"])
				require.Equal(t, "model", said["mode"])
				if tt.failed != "" {
					require.Contains(t, said["failed"], tt.failed)
				} else {
					require.NotContains(t, said, "failed")
				}
				if len(tt.asked) == 2 {
					require.Equal(t, []string{"the answer"}, l.out.Texts("g1"))
					require.Equal(t, "answered", w.status(t, m))
					return
				}
				require.Empty(t, l.saw("g1"))
				require.Equal(t, "ignored", w.status(t, m))
				require.Equal(t, "gated", w.eventData(t, m, "turn.completed")[0]["outcome"])

				// Not in a conversation of two.
				m = l.say(t, "m2", "c1", "when does it open?")
				w.finished(t, workflows.MessageWorkflowID(m))
				require.Equal(t, []string{"the answer"}, l.out.Texts("c1"))
				require.Equal(t, []string{"big"}, g.asked())
			})
		}
	}
}

// Rules decide without a model.
func TestGateByRules(t *testing.T) {
	t.Parallel()
	w := newWatched(t, slog.LevelInfo)
	l := w.newLine(t, object{"agent": object{"provider": "echo", "gate": object{"mode": "rule",
		"rules": []object{{"match": "*?", "answer": true}, {"match": "*", "answer": false}}}}})
	no := l.asks(t, "m1", "g1", "nice weather")
	w.finished(t, workflows.MessageWorkflowID(no))
	yes := l.asks(t, "m2", "g1", "is it open?")
	w.finished(t, workflows.MessageWorkflowID(yes))
	require.Equal(t, []string{"is it open?"}, l.out.Texts("g1"))
	require.Equal(t, []string{"ignored", "answered"}, []string{w.status(t, no), w.status(t, yes)})
	require.Equal(t, "rule *", w.step(t, no, activities.AgentReply)["gate"].(map[string]any)["reason"])
	require.Equal(t, "rule *?", w.step(t, yes, activities.AgentReply)["gate"].(map[string]any)["reason"])
}

// The hub is killed while a gate is asked, and on either side of keeping what
// it said: one decision stands, and the agent is asked, or not, once.
func TestKillAtTheGate(t *testing.T) {
	t.Parallel()
	cases := []struct {
		verdict     string
		when, point string // "": while the gate is asked
		asked       []string
	}{
		{"YES", "", "", []string{"small", "small", "big"}},
		{"NO", "", "", []string{"small", "small"}},
		{"YES", before, "GateTurn", []string{"small", "small", "big"}},
		{"YES", after, "GateTurn", []string{"small", "big"}},
		{"NO", before, "AnswerTurn", []string{"small", "small"}},
		{"NO", after, "AnswerTurn", []string{"small"}},
		{"YES", before, "AnswerTurn", []string{"small", "big", "big"}},
	}
	var mu sync.Mutex
	asked := map[string][]string{} // by what was written
	dead := make(chan struct{}, len(cases))
	model := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			Model    string
			Messages []struct{ Content string }
		}
		body, _ := io.ReadAll(r.Body)
		_ = json.Unmarshal(body, &in)
		text := in.Messages[len(in.Messages)-1].Content
		mu.Lock()
		asked[text] = append(asked[text], in.Model)
		first := len(asked[text]) == 1
		mu.Unlock()
		var i int
		_, _ = fmt.Sscanf(text[strings.LastIndexByte(text, '#')+1:], "%d", &i)
		switch {
		case first && cases[i].when == "":
			dead <- struct{}{}
			<-r.Context().Done()
		case in.Model == "small":
			completes(w, cases[i].verdict)
		default:
			completes(w, "the answer")
		}
	}))
	t.Cleanup(model.Close)

	c := newChild(t)
	c.start(t, orders{})
	l := c.newLine(t, object{"agent": object{"provider": "openai", "apiUrl": model.URL + "/v1", "apiKey": "sk-test", "model": "big",
		"quick": "never", "gate": object{"mode": "model", "model": "small"}}})
	c.stop()
	for i, tt := range cases {
		chat, o := fmt.Sprint("g", i), orders{}
		if tt.when != "" {
			o.Faults = []fault{{moment{When: tt.when, Point: tt.point, Chat: l.chat(chat), Message: l.turn(chat + "m")}, 1}}
		}
		c.start(t, o)
		l.asks(t, chat+"m", chat, fmt.Sprint("#", i))
		if tt.when == "" {
			<-dead
			require.NoError(t, c.cmd.Process.Kill())
		}
		c.dies(t, 30*time.Second)
	}
	c.start(t, orders{})
	for i, tt := range cases {
		name, chat := fmt.Sprint(tt), fmt.Sprint("g", i)
		m := l.message(chat + "m")
		c.finishedWithin(t, 2*answeredWithin, workflows.MessageWorkflowID(m))
		want, status := []string{"the answer"}, "answered"
		if tt.verdict == "NO" {
			want, status = []string{}, "ignored"
		}
		require.Equal(t, want, l.saw(chat), name)
		require.Equal(t, status, c.status(t, m), name)
		e := c.events(t, m)
		require.Equal(t, []int{1, 1}, []int{e["agent.response"], e["turn.completed"]}, name)
		require.Equal(t, tt.verdict == "YES", c.step(t, m, activities.AgentReply)["gate"].(map[string]any)["answer"], name)
	}
	mu.Lock()
	defer mu.Unlock()
	for text, models := range asked {
		var i int
		_, err := fmt.Sscanf(text[strings.LastIndexByte(text, '#')+1:], "%d", &i)
		require.NoError(t, err, text)
		require.Equal(t, cases[i].asked, models, fmt.Sprint(cases[i]))
	}
}
