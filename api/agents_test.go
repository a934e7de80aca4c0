package api_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/internal/control"
	"github.com/omnihub/omni/internal/omni"
)

// agentCaller answers as it is told, and remembers what it was asked.
type agentCaller struct {
	mu    sync.Mutex
	asked []omni.AgentRequest
	reply omni.AgentReply
	err   error
}

func (c *agentCaller) Reply(_ context.Context, req omni.AgentRequest) (omni.AgentReply, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = append(c.asked, req)
	return c.reply, c.err
}

func (h *hub) agent(body string) control.Agent {
	h.t.Helper()
	a := h.admin(http.MethodPost, "/api/v1/agents", body)
	require.Equal(h.t, http.StatusCreated, a.status, "%s", a.body)
	var out control.Agent
	a.data(h.t, &out)
	return out
}

func TestAgentsAreKeptWithoutShowingTheirKey(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	a := h.agent(`{"name":"sales","provider":"openai","apiUrl":"https://llm.example/v1","model":"m1","apiKey":"sk-very-secret","actions":["handoff"],
		"gate":{"mode":"rule","rules":[{"match":"*?","answer":true}]},"price":{"inputPerMillion":1,"outputPerMillion":2}}`)
	require.Equal(t, omni.SecretMask, a.APIKey)
	require.Equal(t, 60, a.TimeoutSeconds, "fields left out take their defaults")
	require.Equal(t, "unknown", a.Health.Status)
	path := "/api/v1/agents/" + a.ID.String()

	got := h.admin(http.MethodPatch, path, `{"model":"m2","apiKey":"•••","gate":null}`)
	require.Equal(t, http.StatusOK, got.status, "%s", got.body)
	require.NotContains(t, string(got.body), "sk-very-secret")
	var changed control.Agent
	got.data(t, &changed)
	require.Equal(t, "m2", changed.Model)
	require.Nil(t, changed.Gate)
	require.Equal(t, "sales", changed.Name)
	stored, err := h.store.Agent(t.Context(), a.ID)
	require.NoError(t, err)
	require.Equal(t, "sk-very-secret", stored.APIKey)
	require.Contains(t, h.bus.changed, a.ID)

	// Its key goes nowhere but where it was given for.
	got = h.call(h.key("agents:write"), http.MethodPatch, path, `{"apiUrl":"https://evil.example/v1"}`)
	require.Equal(t, http.StatusUnprocessableEntity, got.status)
	require.Contains(t, string(got.body), "apiKey")
	require.Equal(t, http.StatusOK, h.admin(http.MethodPatch, path, `{"apiUrl":"https://other.example/v1","apiKey":"sk-2"}`).status)

	var list []control.Agent
	h.admin(http.MethodGet, "/api/v1/agents", nil).data(t, &list)
	require.Len(t, list, 1)
	require.Equal(t, http.StatusNoContent, h.admin(http.MethodDelete, path, nil).status)
	require.Equal(t, http.StatusNotFound, h.admin(http.MethodGet, path, nil).status)
}

func TestAgentRequestsAreChecked(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	for body, field := range map[string]string{
		`{}`: "name", `{"name":"x","provider":"oracle"}`: "provider", `{"name":"x","timeoutSeconds":0}`: "timeoutSeconds",
		`{"name":"x","apiUrl":"ftp://x"}`: "apiUrl", `{"name":"x","colour":"red"}`: "colour", `{"name":"x","actions":["dance"]}`: "actions",
		`{"name":"x","gate":{"mode":"model"}}`: "gate.model", `{"name":"x","gate":{"mode":"rule"}}`: "gate.rules",
		`{"name":"x","price":{"inputPerMillion":-1,"outputPerMillion":1}}`:                  "price.inputPerMillion",
		`{"name":"x","price":{"inputPerMillion":1,"outputPerMillion":1,"currency":"euro"}}`: "price.currency",
	} {
		a := h.admin(http.MethodPost, "/api/v1/agents", body)
		require.Contains(t, []int{http.StatusUnprocessableEntity, http.StatusBadRequest}, a.status, "%s: %s", body, a.body)
		require.Contains(t, string(a.body), field, body)
	}
	var list []control.Agent
	h.admin(http.MethodGet, "/api/v1/agents", nil).data(t, &list)
	require.Empty(t, list)
}

func TestAgentsOfAnotherTenantAreNotThere(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	theirs, err := h.store.CreateAgent(t.Context(), omni.Agent{ID: uuid.New(), TenantID: "other", Name: "theirs", Config: omni.DefaultAgent()})
	require.NoError(t, err)
	path := "/api/v1/agents/" + theirs.ID.String()
	require.Equal(t, http.StatusNotFound, h.admin(http.MethodGet, path, nil).status)
	require.Equal(t, http.StatusNotFound, h.admin(http.MethodPatch, path, `{"name":"mine"}`).status)
	require.Equal(t, http.StatusNotFound, h.admin(http.MethodDelete, path, nil).status)
	require.Equal(t, http.StatusNotFound, h.admin(http.MethodPost, path+"/test", `{"text":"x"}`).status)
	in := h.instance()
	a := h.admin(http.MethodPatch, "/api/v1/instances/"+in.String(), map[string]any{"agentId": theirs.ID})
	require.Equal(t, http.StatusUnprocessableEntity, a.status)
	a = h.admin(http.MethodPost, "/api/v1/instances/"+in.String()+"/routes", map[string]any{"agentId": theirs.ID, "chatType": "group"})
	require.Equal(t, http.StatusUnprocessableEntity, a.status)
}

func TestAnAgentIsTried(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	a := h.agent(`{"name":"x","provider":"openai","model":"gpt-4o-mini","apiKey":"sk-secret"}`)
	path := "/api/v1/agents/" + a.ID.String() + "/test"
	h.caller.reply = omni.AgentReply{Text: "pong", Usage: omni.AgentUsage{InputTokens: 1000, OutputTokens: 1000}}
	got := h.admin(http.MethodPost, path, `{"text":"ping"}`)
	require.Equal(t, http.StatusOK, got.status, "%s", got.body)
	var test control.AgentTest
	got.data(t, &test)
	require.Equal(t, "pong", test.Text)
	require.Nil(t, test.Error)
	require.Equal(t, 1000, test.Usage.InputTokens)
	require.Equal(t, "USD", test.Cost.Currency)
	require.Equal(t, "ping", h.caller.asked[0].Messages[0].Text)
	require.Equal(t, "sk-secret", h.caller.asked[0].APIKey)

	h.caller.err = &omni.AgentError{Kind: omni.AgentRateLimited, Status: 429, Reason: "slow down", RetryAfter: 3 * time.Second}
	test = control.AgentTest{}
	h.admin(http.MethodPost, path, `{"text":"ping"}`).data(t, &test)
	require.Equal(t, &control.AgentTestError{Kind: omni.AgentRateLimited, Status: 429, Message: "slow down", RetryAfterMs: 3000}, test.Error)
	var turns int
	require.NoError(t, h.store.Pool().QueryRow(t.Context(), `SELECT count(*) FROM turns`).Scan(&turns))
	require.Zero(t, turns)
	require.Equal(t, http.StatusUnprocessableEntity, h.admin(http.MethodPost, path, `{"text":""}`).status)
}

func TestRoutesAndTheirExplanation(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	in := h.instance()
	m := h.received(in, "c1", "1", "hi")
	chat, person := omni.ChatID(in, "c1"), h.personOf(m)
	byChat, byPerson, dms := h.agent(`{"name":"chat's"}`), h.agent(`{"name":"person's"}`), h.agent(`{"name":"dms"}`)
	path := "/api/v1/instances/" + in.String() + "/routes"
	route := func(body map[string]any) omni.AgentRoute {
		a := h.admin(http.MethodPost, path, body)
		require.Equal(t, http.StatusCreated, a.status, "%s", a.body)
		var r omni.AgentRoute
		a.data(t, &r)
		return r
	}
	explain := func() (e control.RouteExplanation) {
		a := h.admin(http.MethodGet, path+"/explain?chatId="+chat.String(), nil)
		require.Equal(t, http.StatusOK, a.status, "%s", a.body)
		a.data(t, &e)
		return e
	}
	rd := route(map[string]any{"agentId": dms.ID, "chatType": "dm"})
	require.Equal(t, "dms", explain().Name)
	rp := route(map[string]any{"agentId": byPerson.ID, "personId": person})
	require.Equal(t, "person's", explain().Name, "the person of a dm is known")
	rc := route(map[string]any{"agentId": byChat.ID, "chatId": chat, "priority": -5})
	e := explain()
	require.Equal(t, "chat's", e.Name)
	require.Equal(t, rc.ID, *e.RouteID)
	require.Equal(t, "a route by chat", e.Reason)
	require.Len(t, e.Considered, 3)
	require.Equal(t, []uuid.UUID{rc.ID, rp.ID, rd.ID}, []uuid.UUID{e.Considered[0].ID, e.Considered[1].ID, e.Considered[2].ID})
	require.True(t, e.Considered[2].Matches)
	require.False(t, e.Considered[2].Chosen)
	require.Contains(t, h.bus.changed, in)

	a := h.admin(http.MethodDelete, "/api/v1/agents/"+byChat.ID.String(), nil)
	require.Equal(t, http.StatusConflict, a.status)
	require.Equal(t, "agent_in_use", a.code(t))
	var list []omni.AgentRoute
	h.admin(http.MethodGet, path, nil).data(t, &list)
	require.Len(t, list, 3)
	require.Equal(t, http.StatusNoContent, h.admin(http.MethodDelete, path+"/"+rc.ID.String(), nil).status)
	require.Equal(t, http.StatusNotFound, h.admin(http.MethodDelete, path+"/"+rc.ID.String(), nil).status)
	require.Equal(t, http.StatusUnprocessableEntity, h.admin(http.MethodDelete, path, nil).status)
	require.Equal(t, http.StatusNoContent, h.admin(http.MethodDelete, path+"?personId="+person.String(), nil).status)
	require.Equal(t, http.StatusNoContent, h.admin(http.MethodDelete, path+"?routeId="+rd.ID.String(), nil).status)
	require.Equal(t, http.StatusNoContent, h.admin(http.MethodDelete, "/api/v1/agents/"+byChat.ID.String(), nil).status)
	require.Equal(t, http.StatusOK, h.admin(http.MethodPatch, "/api/v1/instances/"+in.String(), map[string]any{"agentId": dms.ID}).status)
	require.Equal(t, "dms", explain().Name)
	require.Equal(t, "the instance's agentId", explain().Reason)

	other := h.instance()
	h.received(other, "c2", "2", "hi")
	for _, body := range []map[string]any{
		{"agentId": dms.ID}, {"agentId": dms.ID, "chatId": chat, "personId": person}, {"agentId": dms.ID, "chatId": omni.ChatID(other, "c2")},
		{"agentId": dms.ID, "chatType": "channel"}, {"agentId": dms.ID, "personId": uuid.New()}, {"agentId": uuid.New(), "chatId": chat}, {"chatId": chat},
	} {
		require.Equal(t, http.StatusUnprocessableEntity, h.admin(http.MethodPost, path, body).status, "%v", body)
	}
}

func TestAKeyOfOneInstanceChangesNoAgents(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	mine, other := h.instance(), h.instance()
	agent := h.agent(`{"name":"x"}`)
	var k struct{ Key string }
	h.admin(http.MethodPost, "/api/v1/keys", map[string]any{"name": "r", "scopes": []string{"admin"}, "instanceIds": []uuid.UUID{mine}}).data(t, &k)
	call := func(method, path, body string) int { return h.call(k.Key, method, "/api/v1"+path, body).status }
	require.Equal(t, http.StatusForbidden, call(http.MethodPost, "/agents", `{"name":"y"}`))
	require.Equal(t, http.StatusForbidden, call(http.MethodPatch, "/agents/"+agent.ID.String(), `{"name":"y"}`))
	require.Equal(t, http.StatusForbidden, call(http.MethodDelete, "/agents/"+agent.ID.String(), ""))
	body := strings.ReplaceAll(`{"agentId":"ID","chatType":"group"}`, "ID", agent.ID.String())
	require.Equal(t, http.StatusCreated, call(http.MethodPost, "/instances/"+mine.String()+"/routes", body))
	require.Equal(t, http.StatusNotFound, call(http.MethodPost, "/instances/"+other.String()+"/routes", body))
}
