package api_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/internal/control"
	"github.com/omnihub/omni/internal/omni"
)

// Who may change an instance may not read its secrets: so they cannot send
// them to a server of their own either.
func TestASecretDoesNotFollowItsDestination(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	id := h.instance(`{"agent":{"provider":"openai","apiUrl":"https://api.example.com/v1","apiKey":"sk-stored"}}`)
	clerk := h.key("instances:write", "instances:read")
	patch := func(id uuid.UUID, body string) *answer {
		return h.call(clerk, http.MethodPatch, "/api/v1/instances/"+id.String(), body)
	}
	stored := func() *omni.Instance {
		in, err := h.store.Instance(t.Context(), id)
		require.NoError(t, err)
		return in
	}
	for _, body := range []string{
		`{"agent":{"apiUrl":"https://evil.example.com/v1"}}`,
		`{"agent":{"apiUrl":"https://evil.example.com/v1","apiKey":"•••"}}`,
		`{"agent":{"apiUrl":"https://api.example.com:8443/v1"}}`,
		`{"agent":{"apiUrl":"http://api.example.com/v1"}}`,
		`{"agent":{"apiUrl":null}}`,
		`{"agent":{"provider":"anthropic"}}`,
	} {
		a := patch(id, body)
		require.Equal(t, http.StatusUnprocessableEntity, a.status, "%s: %s", body, a.body)
		require.Equal(t, []string{"agent.apiKey"}, a.fields(t), body)
	}
	require.Equal(t, "https://api.example.com/v1", stored().Settings.Agent.APIURL, "nothing changed")
	for _, body := range []string{`{"agent":{"model":"gpt","apiUrl":"https://api.example.com/v1/"}}`, `{"agent":{"apiKey":"•••","systemPrompt":"x"}}`} {
		a := patch(id, body)
		require.Equal(t, http.StatusOK, a.status, "%s: %s", body, a.body)
		require.Equal(t, "sk-stored", stored().AgentAPIKey, "it goes where it went")
	}
	require.Equal(t, http.StatusOK, patch(id, `{"agent":{"apiUrl":"https://new.example.com","apiKey":"sk-new"}}`).status)
	require.Equal(t, "sk-new", stored().AgentAPIKey)
	require.Equal(t, http.StatusOK, patch(id, `{"agent":{"apiUrl":"https://other.example.com","apiKey":null}}`).status, "or without it")
	require.Empty(t, stored().AgentAPIKey)
	require.Equal(t, http.StatusOK, patch(id, `{"agent":{"apiUrl":"https://another.example.com"}}`).status, "there is nothing to take along any more")
	// Nor by way of none at all.
	require.Equal(t, http.StatusOK, patch(id, `{"agent":{"apiKey":"sk-again"}}`).status)
	require.Equal(t, http.StatusOK, patch(id, `{"agent":null}`).status)
	require.Equal(t, http.StatusOK, patch(id, `{"agent":{"provider":"openai","apiUrl":"https://evil.example.com"}}`).status)
	require.Empty(t, stored().AgentAPIKey)

	// An administrator may move it.
	require.Equal(t, http.StatusOK, patch(id, `{"agent":{"apiKey":"sk-moves"}}`).status)
	require.Equal(t, http.StatusOK, h.admin(http.MethodPatch, "/api/v1/instances/"+id.String(), `{"agent":{"apiUrl":"https://moved.example.com"}}`).status)
	require.Equal(t, "sk-moves", stored().AgentAPIKey)
}

func TestAChannelsSecretsDoNotFollowItsServer(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	clerk := h.key("instances:write", "instances:read")
	var made shown
	h.admin(http.MethodPost, "/api/v1/instances", `{"name":"x","channel":"telegram","channelConfig":{"botToken":"123456:abcdefghijkl","secretToken":"shh"}}`).data(t, &made)
	stored := func() string {
		in, err := h.store.Instance(t.Context(), made.ID)
		require.NoError(t, err)
		return string(in.ChannelConfig)
	}
	patch := func(body string) *answer {
		return h.call(clerk, http.MethodPatch, "/api/v1/instances/"+made.ID.String(), body)
	}
	a := patch(`{"channelConfig":{"apiBaseUrl":"https://evil.example.com"}}`)
	require.Equal(t, http.StatusUnprocessableEntity, a.status, "%s", a.body)
	require.ElementsMatch(t, []string{"channelConfig.botToken", "channelConfig.secretToken"}, a.fields(t))
	a = patch(`{"channelConfig":{"apiBaseUrl":"https://evil.example.com","botToken":"123456:abcdefghijkl","secretToken":"•••"}}`)
	require.Equal(t, []string{"channelConfig.secretToken"}, a.fields(t))
	require.NotContains(t, stored(), "evil")
	require.Equal(t, http.StatusOK, patch(`{"channelConfig":{"mode":"polling"}}`).status)
	a = patch(`{"channelConfig":{"apiBaseUrl":"https://bots.example.com","botToken":"123456:abcdefghijkl","secretToken":null}}`)
	require.Equal(t, http.StatusOK, a.status, "%s", a.body)
	require.Contains(t, stored(), "bots.example.com")
	a = patch(`{"channelConfig":{"apiBaseUrl":null}}`)
	require.Equal(t, []string{"channelConfig.botToken"}, a.fields(t), "back is elsewhere, too")
}

func TestRefusedAddressesAreNamedWhenTheyAreConfigured(t *testing.T) {
	t.Parallel()
	refuse := func(raw string) error {
		if strings.Contains(raw, "127.0.0.1") {
			return errors.New("127.0.0.1 may not be called")
		}
		return nil
	}
	h := newHubWith(t, func(c *control.Deps) {
		c.CheckURL = refuse
		c.CheckHost = func(_ context.Context, raw string) error {
			if strings.Contains(raw, "internal.example.com") {
				return errors.New("internal.example.com may not be called")
			}
			return refuse(raw)
		}
	})
	id := h.instance()
	const custom = `{"name":"x","channel":"custom","channelConfig":{"secret":"` + hookSecret + `"`
	for _, host := range []string{"127.0.0.1:9", "internal.example.com"} {
		for body, field := range map[string]string{
			custom + `,"callbackUrl":"http://` + host + `/"}}`:                                                                        "channelConfig.callbackUrl",
			custom + `},"agent":{"provider":"webhook","apiUrl":"http://` + host + `/"}}`:                                              "agent.apiUrl",
			`{"name":"x","channel":"telegram","channelConfig":{"botToken":"123456:abcdefghijkl","apiBaseUrl":"http://` + host + `"}}`: "channelConfig.apiBaseUrl",
		} {
			a := h.admin(http.MethodPost, "/api/v1/instances", body)
			require.Equal(t, http.StatusUnprocessableEntity, a.status, "%s: %s", body, a.body)
			require.Contains(t, a.fields(t), field, body)
		}
		a := h.admin(http.MethodPatch, "/api/v1/instances/"+id.String(), `{"agent":{"provider":"webhook","apiUrl":"http://`+host+`/"}}`)
		require.Equal(t, http.StatusUnprocessableEntity, a.status, "%s", a.body)
		require.Equal(t, []string{"agent.apiUrl"}, a.fields(t))
		a = h.admin(http.MethodPatch, "/api/v1/instances/"+unknownUUID, `{"agent":{"provider":"webhook","apiUrl":"http://`+host+`/"}}`)
		require.Equal(t, http.StatusNotFound, a.status, "an unknown instance is said first")
	}
	require.Equal(t, http.StatusOK, h.admin(http.MethodPatch, "/api/v1/instances/"+id.String(), `{"agent":{"provider":"webhook","apiUrl":"https://example.com"}}`).status)
	var list []shown
	h.admin(http.MethodGet, "/api/v1/instances", nil).data(t, &list)
	require.Len(t, list, 1)
}

func TestWrongKeysAreLimitedByAddress(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	valid, fresh := h.key("messages:read"), h.key("messages:read")
	read := func(key string) *answer { return h.call(key, http.MethodGet, "/api/v1/messages", nil) }
	require.Equal(t, http.StatusOK, read(valid).status)
	limited := 0
	for range 250 {
		if a := read("guess-" + uuid.NewString()); a.status == http.StatusTooManyRequests {
			limited++
			require.Equal(t, "too_many_wrong_keys", a.code(t))
			require.NotEmpty(t, a.header.Get("Retry-After"))
		} else {
			require.Equal(t, http.StatusUnauthorized, a.status)
		}
	}
	require.Greater(t, limited, 50)
	require.Equal(t, http.StatusOK, read(valid).status, "whoever has a key is not slowed")
	require.Equal(t, http.StatusOK, read(fresh).status, "nor at its first use")
	require.Equal(t, http.StatusOK, read(adminKey).status, "nor the owner, who has come from here before")
	require.Equal(t, http.StatusUnauthorized, read("").status, "no key is no guess")
}
