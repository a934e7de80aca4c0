package steps

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/omnihub/omni/workers"
	"github.com/omnihub/omni/workflows"
)

// Turns that wait for an answer hold no place: three times as many wait as
// calls of agents may run at once, and all of them were asked.
func TestWaitingTurnsHoldNoPlace(t *testing.T) {
	t.Parallel()
	const places, turns = 2, 6
	w := newWatchedWith(t, slog.LevelInfo, func(d *workers.Deps) { d.AgentCalls = places })
	p := newProgram(t)
	l := w.newLine(t, object{"agent": p.agent(nil)})
	var waiting []programTurn
	for i := range turns {
		l.say(t, fmt.Sprint("m", i), fmt.Sprint("c", i), fmt.Sprint("hello ", i))
	}
	for range turns {
		turn := <-p.turns
		w.awaiting(t, turn.TurnID)
		waiting = append(waiting, turn)
	}
	for _, turn := range waiting {
		status, _ := w.replies(t, turn.TurnID, object{"text": "to: " + turn.Messages[0].Text})
		require.Equal(t, http.StatusOK, status)
	}
	for i := range turns {
		l.hears(t, 10*time.Second, fmt.Sprint("c", i), fmt.Sprint("to: hello ", i))
	}
}

// Whoever is asked when a turn closes answers it; a change holds for the next.
func TestAChangedAgentHoldsForTheNextTurn(t *testing.T) {
	t.Parallel()
	w := newWatched(t, slog.LevelInfo)
	old, young, shared := newProgram(t), newProgram(t), newProgram(t)
	l := w.newLine(t, object{"agent": old.agent(nil)})
	path := "/api/v1/instances/" + l.id.String()

	l.say(t, "m1", "c1", "one")
	first := <-old.turns
	w.awaiting(t, first.TurnID)
	w.call(t, http.MethodPatch, path, object{"agent": young.agent(nil)}, &struct{}{})
	status, _ := w.replies(t, first.TurnID, object{"text": "by the old one"})
	require.Equal(t, http.StatusOK, status, "the turn under way is answered by whom it was given to")
	l.hears(t, 10*time.Second, "c1", "by the old one")

	l.say(t, "m2", "c1", "two")
	second := <-young.turns
	status, _ = w.replies(t, second.TurnID, object{"text": "by the young one"})
	require.Equal(t, http.StatusOK, status)
	l.hears(t, 10*time.Second, "c1", "by the old one", "by the young one")

	// The same by an agent of its own, and by a change of it.
	var agent struct{ ID uuid.UUID }
	w.call(t, http.MethodPost, "/api/v1/agents", old.agent(object{"name": "shared"}), &agent)
	w.call(t, http.MethodPatch, path, object{"agentId": agent.ID}, &struct{}{})
	w.call(t, http.MethodPatch, "/api/v1/agents/"+agent.ID.String(), shared.agent(nil), &struct{}{})
	l.say(t, "m3", "c1", "three")
	third := <-shared.turns
	require.Equal(t, "three", third.Messages[len(third.Messages)-1].Text)
	require.Empty(t, old.turns)
	require.Empty(t, young.turns)
}

// What a later answer took is on its event, with what it cost, and is counted once.
func TestLaterAnswersAreAccountedFor(t *testing.T) {
	t.Parallel()
	w := newWatched(t, slog.LevelInfo)
	p := newProgram(t)
	l := w.newLine(t, object{"agent": p.agent(object{"model": "house", "price": object{"inputPerMillion": 3, "outputPerMillion": 15, "currency": "EUR"}})})
	m := l.say(t, "m1", "c1", "hello")
	turn := <-p.turns
	w.awaiting(t, turn.TurnID)
	answer := object{"text": "hi", "usage": object{"inputTokens": 2000, "outputTokens": 400}}
	for range 2 { // the second is the same once more
		status, _ := w.replies(t, turn.TurnID, answer)
		require.Equal(t, http.StatusOK, status)
	}
	w.finished(t, workflows.MessageWorkflowID(m))
	said := w.eventData(t, m, "agent.response")
	require.Len(t, said, 1)
	require.Equal(t, map[string]any{"inputTokens": 2000.0, "outputTokens": 400.0}, said[0]["usage"])
	require.Equal(t, map[string]any{"amount": 0.012, "currency": "EUR"}, said[0]["cost"])

	metrics := otelScope.ReplaceAllString(w.text(t, "/metrics"), "")
	for _, line := range []string{`omni_agent_tokens_total{direction="input",model="other",provider="webhook"} 2000`,
		`omni_agent_tokens_total{direction="output",model="other",provider="webhook"} 400`,
		`omni_agent_cost_total{currency="EUR",model="other",provider="webhook"} 0.012`} {
		require.Contains(t, metrics, line+"\n")
	}
}

// otelScope are the labels that the exporter adds to each line.
var otelScope = regexp.MustCompile(`,?otel_scope_[a-z_]+="[^"]*"`)

// text reads a page of the hub as it is.
func (s *site) text(t *testing.T, path string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url(path), nil)
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+apiKey)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer func() { require.NoError(t, resp.Body.Close()) }()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return string(body)
}

// The secrets of an instance and its agent are nowhere but in the rows that
// seal them: not in histories, logs, streams, events or answers, also after failures.
func TestSecretsStayWhereTheyBelong(t *testing.T) {
	t.Parallel()
	w := newWatched(t, slog.LevelDebug)
	p := newProgram(t)
	service := newLLM(t, says("hi", 0))
	const key = "sk-this-key-is-nobodys-business"
	l := w.newLine(t, object{"agent": p.agent(nil)})
	keyed := w.newLine(t, object{"agent": service.agent(object{"apiKey": key, "quick": "never"})})
	dead := w.newLine(t, object{"agent": object{"provider": "openai", "apiUrl": "http://127.0.0.1:1/v1", "apiKey": key, "model": "m",
		"retryForSeconds": 1, "fallbackText": "sorry"}})

	m := l.say(t, "m1", "c1", "hello")
	turn := <-p.turns
	w.awaiting(t, turn.TurnID)
	status, _ := w.replies(t, turn.TurnID, object{"text": "hi"})
	require.Equal(t, http.StatusOK, status)
	answered := keyed.say(t, "m1", "c1", "hello")
	failed := dead.say(t, "m1", "c1", "hello")
	for _, id := range []uuid.UUID{m, answered, failed} {
		w.finishedWithin(t, 40*time.Second, workflows.MessageWorkflowID(id))
	}
	require.Equal(t, []string{"answered", "answered", "failed"}, []string{w.status(t, m), w.status(t, answered), w.status(t, failed)})
	require.Len(t, w.deadLetters(t, failed), 1)

	secrets := map[string]string{"the agent's key": key, "the agent's signing secret": p.secret, "the hub's key": apiKey,
		"the channel's secret": l.Secret}
	for place, found := range w.everythingSaid(t, m, answered, failed) {
		require.NotEmpty(t, found, place)
		for name, secret := range secrets {
			require.NotContains(t, found, strings.TrimPrefix(secret, "whsec_"), "%s in %s", name, place)
		}
	}
}

// everythingSaid is what a hub has told anybody about messages, by place.
func (w *watched) everythingSaid(t *testing.T, messages ...uuid.UUID) map[string]string {
	t.Helper()
	said := map[string]string{"the log": w.log.String(), "the metrics": w.text(t, "/metrics"),
		"the instances": w.text(t, "/api/v1/instances"), "the events": w.text(t, "/api/v1/events?limit=200"),
		"the dead letters": w.text(t, "/api/v1/dead-letters"), "the streams": w.streams(t)}
	var rows string
	require.NoError(t, w.db.QueryRow(t.Context(), `SELECT coalesce(jsonb_agg(to_jsonb(e)), '[]')::text || coalesce((SELECT jsonb_agg(to_jsonb(d)) FROM dead_letters d), '[]')::text
		FROM events e`).Scan(&rows))
	said["the event log and the letters"] = rows
	for _, m := range messages {
		said["the trace of "+m.String()] = w.text(t, "/api/v1/messages/"+m.String()+"/trace")
		for _, e := range w.history(t, workflows.MessageWorkflowID(m)) {
			raw, err := proto.Marshal(e) // payloads are as they are in it
			require.NoError(t, err)
			said["the history of "+m.String()] += string(raw)
		}
	}
	return said
}

// streams is every message of every JetStream stream.
func (s *site) streams(t *testing.T) string {
	t.Helper()
	conn, err := nats.Connect(s.natsURL)
	require.NoError(t, err)
	defer conn.Close()
	js, err := jetstream.New(conn)
	require.NoError(t, err)
	var all strings.Builder
	names := js.StreamNames(t.Context())
	for name := range names.Name() {
		stream, err := js.Stream(t.Context(), name)
		require.NoError(t, err)
		state := stream.CachedInfo().State
		for seq := state.FirstSeq; seq <= state.LastSeq && state.Msgs > 0; seq++ {
			msg, err := stream.GetMsg(t.Context(), seq)
			if err != nil {
				continue // deleted since
			}
			fmt.Fprintln(&all, msg.Subject, msg.Header, string(msg.Data))
		}
	}
	require.NoError(t, names.Err())
	return all.String()
}
