package cli_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
)

// An agent is made, tried, changed and refused by command, with the very
// requests that a turn would make.
func TestAgentsByCommand(t *testing.T) {
	t.Parallel()
	h := newAPIHub(t)
	asked := make(chan map[string]any, 10)
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body map[string]any
		_ = json.NewDecoder(r.Body).Decode(&body)
		body["key"] = r.Header.Get("X-Token")
		asked <- body
		w.Header().Set("Content-Type", "application/json")
		if body["q"] == "fail" {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `{"message":"no such key: sk-custom"}`)
			return
		}
		_, _ = io.WriteString(w, `{"out":{"text":"pong","actions":[{"type":"close"},{"type":"dance"}],"usage":{"inputTokens":2000000,"outputTokens":0}}}`)
	}))
	t.Cleanup(service.Close)

	var agent struct{ ID, Name, APIKey string }
	h.ok(&agent, "agents", "create", "--name", "desk", "--provider", "custom", "--set", "apiUrl="+service.URL, "--set", "apiKey=sk-custom",
		"--set", `custom={"body":{"q":"{{text}}","who":"{{sender.name}}"},"responsePath":"out","authHeader":"X-Token"}`,
		"--set", `price={"inputPerMillion":1.5,"outputPerMillion":3,"currency":"EUR"}`)
	require.Equal(t, omni.SecretMask, agent.APIKey)

	var test struct {
		Text    string
		Actions []omni.AgentAction
		Usage   omni.AgentUsage
		Cost    omni.Cost
		Error   *struct{ Kind, Message string }
	}
	h.ok(&test, "agents", "test", agent.ID, "ping {{text}}")
	require.Equal(t, "pong", test.Text)
	require.Equal(t, []omni.AgentAction{{Type: omni.ActionClose}, {Type: "dance", Problem: "unknown action"}}, test.Actions)
	require.Equal(t, omni.Cost{Amount: 3, Currency: "EUR"}, test.Cost)
	got := <-asked
	require.Equal(t, map[string]any{"q": "ping {{text}}", "who": "Test", "key": "sk-custom"}, got)

	h.ok(&test, "agents", "test", agent.ID, "fail")
	require.Equal(t, "bad_credentials", test.Error.Kind)
	require.Equal(t, "no such key: •••", test.Error.Message)

	h.ok(&agent, "agents", "update", agent.ID, "--name", "front desk", "--set", "maxTokens=100")
	require.Equal(t, "front desk", agent.Name)
	for _, bad := range []string{`custom={"method":"GET"}`, `custom={"headers":{"Authorization":"x"}}`, `custom={"authHeader":"Host"}`,
		`custom={"body":{"q":"{{nothing}}"}}`, `custom={"body":{"q":"all: {{messages}}"}}`, `maxTokens=-1`} {
		code, _, errs := h.run("agents", "update", agent.ID, "--set", bad)
		require.Equal(t, 1, code, bad)
		require.NotEmpty(t, errs)
	}
	code, _, _ := h.run("agents", "test", uuid.NewString(), "ping")
	require.Equal(t, 1, code)
	h.ok(nil, "agents", "delete", agent.ID)
}

// A turn that a webhook agent has accepted is answered by command, once.
func TestTurnsAreAnsweredByCommand(t *testing.T) {
	t.Parallel()
	h := newAPIHub(t)
	var agent, in struct{ ID string }
	h.ok(&agent, "agents", "create", "--name", "desk", "--provider", "webhook", "--set", "apiUrl=https://desk.example/agent",
		"--set", `price={"inputPerMillion":2,"outputPerMillion":4}`)
	h.ok(&in, "instances", "create", "--channel", "custom", "--config", "secret="+cliSecret, "--set", "agentId="+agent.ID)
	turn := h.accepted(uuid.MustParse(in.ID), agent.ID)

	for _, wrong := range [][]string{{}, {"--text", "x", "--parts", "[]"}, {"--parts", "no"}, {"--actions", "{"}} {
		code, _, _ := h.run(append([]string{"turns", "reply", turn.String()}, wrong...)...)
		require.NotZero(t, code, wrong)
	}
	code, _, errs := h.run("turns", "reply", uuid.NewString(), "--text", "x")
	require.Equal(t, 1, code)
	require.Contains(t, errs, "turn")

	var replied struct {
		Parts     int
		Duplicate bool
	}
	reply := []string{"turns", "reply", turn.String(), "--parts", `["Well."]`, "--actions",
		`[{"type":"buttons","text":"Which?","buttons":["Tea","Coffee"]},{"type":"handoff","reason":"wants a person"}]`}
	h.ok(&replied, reply...)
	require.Equal(t, 2, replied.Parts)
	h.ok(&replied, reply...)
	require.True(t, replied.Duplicate)
	code, _, errs = h.run("turns", "reply", turn.String(), "--text", "no, this")
	require.Equal(t, 1, code)
	require.Contains(t, errs, "already")
}

// accepted is a turn whose agent has said that it will answer later.
func (h *apiHub) accepted(instance uuid.UUID, agent string) uuid.UUID {
	h.t.Helper()
	ctx, attempt := h.t.Context(), omni.Attempt{StartedAt: time.Now(), Number: 1}
	e := omni.Envelope{TenantID: omni.DefaultTenant, InstanceID: instance, Channel: "custom", ReceivedAt: time.Now(), Seq: 1,
		Event: message.Inbound{ID: "m1", Kind: message.KindMessage, Timestamp: time.Now(), Chat: message.Chat{ID: "c1", Type: message.ChatDM},
			Sender: message.Sender{ID: "u1", Name: "Ana"}, Content: message.Content{Type: message.TypeText, Text: "hello"}},
		Admission: &omni.Admission{Begins: true, Status: omni.StatusReceived}}
	e.MessageID = omni.MessageID(instance, e.ExternalKey())
	require.NoError(h.t, h.store.Record(ctx, []omni.Envelope{e}, 1))
	_, err := h.store.CheckMessage(ctx, e.MessageID, omni.PlanAccess("disabled", nil, &omni.AccessFacts{}, time.Now()), attempt)
	require.NoError(h.t, err)
	workflow := "message/" + e.MessageID.String()
	v, err := h.store.JoinTurn(ctx, omni.JoinParams{ChatID: e.ChatID(), MessageID: e.MessageID, SessionKey: "chat:" + e.ChatID().String(),
		Agent: agent, WorkflowID: workflow, TurnID: omni.TurnID(e.MessageID, 0), QuietCap: time.Minute, Close: true,
		Closing: omni.ClosingParams{Provider: "webhook", AnswerWithin: time.Minute, MediaWithin: time.Minute}, Attempt: attempt})
	require.NoError(h.t, err)
	mine, err := h.store.AskTurn(ctx, v.TurnID.UUID, workflow, v.Epoch, time.Minute)
	require.NoError(h.t, err)
	require.True(h.t, mine)
	return v.TurnID.UUID
}
