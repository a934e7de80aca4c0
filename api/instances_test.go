package api_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels"
)

// shown is an instance as a script reads it.
type shown struct {
	ID            uuid.UUID      `json:"id"`
	Name          string         `json:"name"`
	Channel       string         `json:"channel"`
	ChannelConfig map[string]any `json:"channelConfig"`
	Agent         map[string]any `json:"agent"`
	Messaging     map[string]any `json:"messaging"`
	Media         map[string]any `json:"media"`
	Access        map[string]any `json:"access"`
	Status        string         `json:"status"`
	StatusReason  string         `json:"statusReason"`
}

func (h *hub) patch(id uuid.UUID, body string) shown {
	h.t.Helper()
	a := h.admin(http.MethodPatch, "/api/v1/instances/"+id.String(), body)
	require.Equal(h.t, http.StatusOK, a.status, "%s", a.body)
	var s shown
	a.data(h.t, &s)
	return s
}

func TestInstanceDefaults(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	a := h.admin(http.MethodPost, "/api/v1/instances", `{"name":"support","channel":"custom",
		"channelConfig":{"secret":"`+hookSecret+`"},"agent":{"provider":"openai","apiKey":"sk-secret"},
		"messaging":{"debounceMode":"fixed","debounceMs":500,"triggers":{"names":["omni"]}}}`)
	require.Equal(t, http.StatusCreated, a.status, "%s", a.body)
	require.NotContains(t, string(a.body), "sk-secret")
	require.NotContains(t, string(a.body), hookSecret)
	var s shown
	a.data(t, &s)
	require.Equal(t, "connecting", s.Status)
	require.Equal(t, "•••", s.ChannelConfig["secret"])
	require.Equal(t, "•••", s.Agent["apiKey"])
	require.Equal(t, "openai", s.Agent["provider"])
	require.EqualValues(t, 60, s.Agent["timeoutSeconds"])
	require.EqualValues(t, 900, s.Agent["retryForSeconds"])
	require.Equal(t, "auto", s.Agent["quick"])
	require.Equal(t, "fixed", s.Messaging["debounceMode"])
	require.EqualValues(t, 30000, s.Messaging["debounceMaxWaitMs"])
	require.Equal(t, "queue", s.Messaging["whenBusy"])
	require.Equal(t, true, s.Messaging["enableAutoSplit"])
	triggers := s.Messaging["triggers"].(map[string]any)
	require.Equal(t, true, triggers["dm"])
	require.Equal(t, []any{"omni"}, triggers["names"])
	// What is left out reads as its value, also where that is nothing.
	require.Equal(t, []any{}, triggers["reactions"])
	require.Equal(t, []any{}, s.Messaging["followUps"])
	require.Empty(t, s.Messaging["resetEmoji"])
	for _, field := range []string{"apiUrl", "model", "systemPrompt", "fallbackText"} {
		require.Contains(t, s.Agent, field)
		require.Empty(t, s.Agent[field])
	}
	require.Contains(t, s.Messaging, "resetEmoji")
	require.EqualValues(t, 26214400, s.Media["maxBytes"])
	require.Equal(t, "disabled", s.Access["mode"])
	require.Equal(t, []uuid.UUID{s.ID}, h.bus.changed)

	in, err := h.store.Instance(t.Context(), s.ID)
	require.NoError(t, err)
	require.Equal(t, "sk-secret", in.AgentAPIKey)
	require.JSONEq(t, `{"secret":"`+hookSecret+`"}`, string(in.ChannelConfig))
	var raw string
	require.NoError(t, h.store.Pool().QueryRow(t.Context(),
		`SELECT row_to_json(i)::text FROM instances i WHERE id = $1`, s.ID).Scan(&raw))
	require.NotContains(t, raw, "sk-secret", "sealed at rest")
	require.NotContains(t, raw, hookSecret, "sealed at rest")
}

func TestInstanceWithoutAnAgentOnlyRecords(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	id := h.instance()
	var s shown
	h.admin(http.MethodGet, "/api/v1/instances/"+id.String(), nil).data(t, &s)
	require.Nil(t, s.Agent)
	s = h.patch(id, `{"agent":{}}`)
	require.Equal(t, "echo", s.Agent["provider"], "of alternatives the first")
	s = h.patch(id, `{"agent":null}`)
	require.Nil(t, s.Agent)
}

func TestInstancePatchMerges(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	id := h.instance(`{"agent":{"provider":"openai","apiKey":"sk-1","model":"m1","fallbackText":"sorry"},
		"messaging":{"debounceMode":"fixed","debounceMs":100,"triggers":{"dm":false,"names":["a","b"]}}}`)

	s := h.patch(id, `{"agent":{"model":"m2"},"messaging":{"debounceMs":200,"triggers":{"names":["c"]}}}`)
	require.Equal(t, "m2", s.Agent["model"])
	require.Equal(t, "sorry", s.Agent["fallbackText"])
	require.Equal(t, "fixed", s.Messaging["debounceMode"])
	require.EqualValues(t, 200, s.Messaging["debounceMs"])
	triggers := s.Messaging["triggers"].(map[string]any)
	require.Equal(t, false, triggers["dm"])
	require.Equal(t, []any{"c"}, triggers["names"], "lists are replaced")

	// What was read may be sent back: masks are no secrets.
	s = h.patch(id, `{"channelConfig":{"secret":"•••","callbackUrl":"https://example.com/in"},"agent":{"apiKey":"•••"}}`)
	require.Equal(t, "https://example.com/in", s.ChannelConfig["callbackUrl"])
	in, err := h.store.Instance(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, "sk-1", in.AgentAPIKey)
	require.Contains(t, string(in.ChannelConfig), hookSecret)

	s = h.patch(id, `{"messaging":{"debounceMs":null,"debounceMode":null},"agent":{"fallbackText":null,"apiKey":null}}`)
	require.Equal(t, "disabled", s.Messaging["debounceMode"], "null is the default")
	require.EqualValues(t, 0, s.Messaging["debounceMs"])
	require.Empty(t, s.Agent["fallbackText"])
	require.Empty(t, s.Agent["apiKey"])
	require.Equal(t, "m2", s.Agent["model"])
}

func TestInstanceValidationNamesTheField(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	id := h.instance()
	secret := `"channelConfig":{"secret":"` + hookSecret + `"}`
	messaging := func(fields string) string {
		return `{"name":"x","channel":"custom",` + secret + `,"messaging":{` + fields + `}}`
	}
	for _, tc := range []struct{ body, field string }{
		{`{"channel":"custom",` + secret + `}`, "name"},
		{`{"name":"x","channel":"fax"}`, "channel"},
		{`{"name":"x","channel":"custom"}`, "channelConfig.secret"},
		{`{"name":"x","channel":"custom","channelConfig":{"secret":"short"}}`, "channelConfig.secret"},
		{`{"name":"x","channel":"custom","channelConfig":{"secret":"` + hookSecret + `","callbackUrl":"ftp://x"}}`, "channelConfig.callbackUrl"},
		{`{"name":"x","channel":"custom",` + secret + `,"agent":{"provider":"parrot"}}`, "agent.provider"},
		{`{"name":"x","channel":"custom",` + secret + `,"agent":{"timeoutSeconds":0}}`, "agent.timeoutSeconds"},
		{`{"name":"x","channel":"custom",` + secret + `,"agent":{"provider":"webhook"}}`, "agent.apiUrl"},
		{`{"name":"x","channel":"custom",` + secret + `,"agent":{"apiUrl":"not a url"}}`, "agent.apiUrl"},
		{`{"name":"x","channel":"custom",` + secret + `,"messaging":{"debounceMs":"soon"}}`, "messaging.debounceMs"},
		{`{"name":"x","channel":"custom",` + secret + `,"messaging":{"debounceMs":-1}}`, "messaging.debounceMs"},
		{`{"name":"x","channel":"custom",` + secret + `,"messaging":{"whenBusy":"panic"}}`, "messaging.whenBusy"},
		{`{"name":"x","channel":"custom",` + secret + `,"messaging":{"debouncems":1}}`, "messaging.debouncems"},
		{`{"name":"x","channel":"custom",` + secret + `,"access":{"mode":"open"}}`, "access.mode"},
		{`{"name":"a\u0000b","channel":"custom",` + secret + `}`, "name"},
		{`{"name":7,"channel":"custom",` + secret + `}`, "name"},
		{`[]`, "body"},
		// Under a name that is written otherwise a secret would not be known as one.
		{`{"name":"x","channel":"custom","channelConfig":{"SECRET":"` + hookSecret + `"}}`, "channelConfig.SECRET"},
		{`{"name":"x","channel":"custom","channelConfig":{"secret":"` + hookSecret + `","token":"t"}}`, "channelConfig.token"},
		{`{"name":"x","channel":"custom","channelConfig":{"secret":"` + hookSecret + `","callbackUrl":"https://u:p@example.com"}}`,
			"channelConfig.callbackUrl"},
		{`{"name":"x","channel":"custom",` + secret + `,"agent":{"apiUrl":"https://u:p@example.com"}}`, "agent.apiUrl"},
		{`{"name":"x","channel":"custom",` + secret + `,"messaging":{"followUps":[` +
			strings.Repeat(`{"afterSeconds":60,"text":"x"},`, 50) + `{"afterSeconds":60,"text":"x"}]}}`, "messaging.followUps"},
		{messaging(`"followUps":[{"afterSeconds":0,"text":"x"}]`), "messaging.followUps[0].afterSeconds"},
		{messaging(`"followUps":[{"afterSeconds":"soon","text":"x"}]`), "messaging.followUps[0].afterSeconds"},
		{messaging(`"followUps":[{"afterSeconds":9,"text":"x"},{"afterSeconds":9,"text":"y"}]`), "messaging.followUps[1].afterSeconds"},
		{messaging(`"followUps":[{"afterSeconds":9,"text":" "}]`), "messaging.followUps[0].text"},
		{messaging(`"followUps":[{"afterSeconds":9,"text":"x","agentPrompt":"y"}]`), "messaging.followUps[0].agentPrompt"},
		{messaging(`"followUps":[{"afterSeconds":9,"agentPrompt":"a\u0000"}]`), "messaging.followUps[0].agentPrompt"},
		{messaging(`"followUps":[{"afterSeconds":9,"text":"` + strings.Repeat("x", 20_001) + `"}]`), "messaging.followUps[0].text"},
		{messaging(`"resetEmoji":"reset"`), "messaging.resetEmoji"},
		{messaging(`"resetEmoji":"🔄🔄"`), "messaging.resetEmoji"},
		{messaging(`"resetEmoji":"👍","triggers":{"reactions":["👍"]}`), "messaging.resetEmoji"},
	} {
		a := h.admin(http.MethodPost, "/api/v1/instances", tc.body)
		require.Equal(t, http.StatusUnprocessableEntity, a.status, "%s: %s", tc.body, a.body)
		require.Contains(t, a.fields(t), tc.field, "%s: %s", tc.body, a.body)
		require.NotContains(t, string(a.body), hookSecret, "a complaint never repeats a value")
	}
	a := h.admin(http.MethodPatch, "/api/v1/instances/"+id.String(), `{"channel":"webchat"}`)
	require.Equal(t, http.StatusUnprocessableEntity, a.status)
	require.Contains(t, a.fields(t), "channel")
}

func TestWhatCannotBeStoredIsTheCallersMistake(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	id := h.instance()
	for _, body := range []string{`{"messaging":{"resetEmoji":"a\u0000"}}`, `{"messaging":{"triggers":{"names":["a\u0000"]}}}`} {
		a := h.admin(http.MethodPatch, "/api/v1/instances/"+id.String(), body)
		require.Equal(t, http.StatusUnprocessableEntity, a.status, "%s: %s", body, a.body)
	}
	for _, path := range []string{"/persons?q=%00", "/persons?q=%ff", "/instances?channel=%00"} {
		require.Equal(t, http.StatusUnprocessableEntity, h.admin(http.MethodGet, "/api/v1"+path, nil).status, path)
	}
}

func TestInstanceConnection(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	id := h.instance()
	path := "/api/v1/instances/" + id.String()
	status := func() (s struct {
		Status, StatusReason string
		LastConnectedAt      *string
	}) {
		h.admin(http.MethodGet, path+"/status", nil).data(t, &s)
		return s
	}
	require.NoError(t, h.store.SetInstanceState(t.Context(), id, channels.StatusActive, ""))
	require.Equal(t, "active", status().Status)
	require.NotNil(t, status().LastConnectedAt)

	require.Equal(t, http.StatusOK, h.admin(http.MethodPost, path+"/disconnect", nil).status)
	require.NoError(t, h.store.SetInstanceState(t.Context(), id, channels.StatusInactive, ""), "the session's last word")
	require.Equal(t, "inactive", status().Status)
	require.Equal(t, "disconnected by call", status().StatusReason)
	all, err := h.store.ConnectableInstances(t.Context())
	require.NoError(t, err)
	require.Empty(t, all)

	require.Equal(t, http.StatusOK, h.admin(http.MethodPost, path+"/connect", nil).status)
	require.Equal(t, "connecting", status().Status)
	require.Equal(t, http.StatusOK, h.admin(http.MethodPost, path+"/restart", nil).status)
	require.Equal(t, []uuid.UUID{id}, h.bus.restarted)

	a := h.admin(http.MethodGet, path+"/qr", nil)
	require.Equal(t, http.StatusUnprocessableEntity, a.status)
	require.Equal(t, "capability_not_supported", a.code(t))

	require.Equal(t, http.StatusNoContent, h.admin(http.MethodDelete, path, nil).status)
	require.Equal(t, http.StatusNotFound, h.admin(http.MethodGet, path, nil).status)
	require.Equal(t, http.StatusNotFound, h.admin(http.MethodDelete, path, nil).status)

	var types []string
	rows, err := h.store.Pool().Query(t.Context(), `SELECT type FROM events WHERE instance_id = $1 ORDER BY seq`, id)
	require.NoError(t, err)
	for rows.Next() {
		var typ string
		require.NoError(t, rows.Scan(&typ))
		types = append(types, typ)
	}
	require.Equal(t, []string{"channel.connected", "channel.disconnected", "channel.disconnected"}, types)
}

func TestListsPage(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	var want []uuid.UUID
	for range 5 {
		want = append([]uuid.UUID{h.instance()}, want...)
	}
	var got []uuid.UUID
	cursor := ""
	for {
		a := h.admin(http.MethodGet, "/api/v1/instances?limit=2&cursor="+cursor, nil)
		require.Equal(t, http.StatusOK, a.status, "%s", a.body)
		var page struct {
			Data []shown
			Meta struct {
				NextCursor *string `json:"nextCursor"`
			}
		}
		require.NoError(t, json.Unmarshal(a.body, &page))
		for _, in := range page.Data {
			got = append(got, in.ID)
		}
		if page.Meta.NextCursor == nil {
			break
		}
		cursor = *page.Meta.NextCursor
	}
	require.Equal(t, want, got, "newest first, each once")
	for _, bad := range []string{"limit=0", "limit=101", "limit=x", "cursor=zzz", "status=asleep"} {
		require.Equal(t, http.StatusUnprocessableEntity, h.admin(http.MethodGet, "/api/v1/instances?"+bad, nil).status, bad)
	}
}

func TestChannelsAreListedWithTheirCapabilities(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	var list []channels.Info
	h.admin(http.MethodGet, "/api/v1/channels", nil).data(t, &list)
	require.NotEmpty(t, list)
	require.Equal(t, "custom", list[0].Type)
	require.True(t, list[0].Capabilities.IdempotentSend)
	require.Contains(t, list[0].Config, channels.ConfigField{Name: "secret", Doc: list[0].Config[0].Doc, Secret: true, Required: true})
}
