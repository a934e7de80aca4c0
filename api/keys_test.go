package api_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/api"
	"github.com/omnihub/omni/internal/omni"
)

func TestKeysAreShownOnceAndStoredAsHashes(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	key := h.key("messages:read")
	a := h.admin(http.MethodGet, "/api/v1/keys", nil)
	require.NotContains(t, string(a.body), key)
	var list []omni.APIKey
	a.data(t, &list)
	require.Len(t, list, 1)
	require.Equal(t, key[:len(list[0].Prefix)], list[0].Prefix)
	var raw string
	require.NoError(t, h.store.Pool().QueryRow(t.Context(), `SELECT row_to_json(k)::text FROM api_keys k`).Scan(&raw))
	require.NotContains(t, raw, key)

	require.Equal(t, http.StatusOK, h.call(key, http.MethodGet, "/api/v1/messages", nil).status)
	h.admin(http.MethodGet, "/api/v1/keys", nil).data(t, &list)
	require.NotNil(t, list[0].LastUsedAt)
	require.Equal(t, http.StatusNoContent, h.admin(http.MethodDelete, "/api/v1/keys/"+list[0].ID.String(), nil).status)
	require.Equal(t, http.StatusUnauthorized, h.call(key, http.MethodGet, "/api/v1/messages", nil).status, "at once")
	require.Equal(t, http.StatusNotFound, h.admin(http.MethodDelete, "/api/v1/keys/"+list[0].ID.String(), nil).status)
}

func TestKeyRequestsAreChecked(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	for body, field := range map[string]string{
		`{"scopes":["admin"]}`:                        "name",
		`{"name":"x"}`:                                "scopes",
		`{"name":"x","scopes":[]}`:                    "scopes",
		`{"name":"x","scopes":["messages"]}`:          "scopes[0]",
		`{"name":"x","scopes":["admin","cats:read"]}`: "scopes[1]",
		`{"name":"x","scopes":["admin"],"expiresAt":"2001-01-01T00:00:00Z"}`:    "expiresAt",
		`{"name":"x","scopes":["admin"],"instanceIds":["` + unknownUUID + `"]}`: "instanceIds[0]",
	} {
		a := h.admin(http.MethodPost, "/api/v1/keys", body)
		require.Equal(t, http.StatusUnprocessableEntity, a.status, "%s: %s", body, a.body)
		require.Contains(t, a.fields(t), field, "%s: %s", body, a.body)
	}
}

func TestNobodyGivesMoreThanTheyHave(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	in := h.instance()
	clerk := h.key("keys:write", "messages:read")
	a := h.call(clerk, http.MethodPost, "/api/v1/keys", `{"name":"x","scopes":["messages:read"]}`)
	require.Equal(t, http.StatusCreated, a.status, "%s", a.body)
	for _, scope := range []string{"admin", "messages:write"} {
		a = h.call(clerk, http.MethodPost, "/api/v1/keys", `{"name":"x","scopes":["`+scope+`"]}`)
		require.Equal(t, http.StatusForbidden, a.status)
	}
	a = h.admin(http.MethodPost, "/api/v1/keys", map[string]any{"name": "r", "scopes": []string{"admin"}, "instanceIds": []uuid.UUID{in}})
	var k struct{ Key string }
	a.data(t, &k)
	a = h.call(k.Key, http.MethodPost, "/api/v1/keys", `{"name":"x","scopes":["messages:read"]}`)
	require.Equal(t, http.StatusForbidden, a.status, "a restricted key makes no unrestricted one")
	a = h.call(k.Key, http.MethodPost, "/api/v1/instances", bodies["create-instance"])
	require.Equal(t, http.StatusForbidden, a.status)
}

func TestNoKeyOutlivesItsMaker(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	expires := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	var k struct{ Key string }
	h.admin(http.MethodPost, "/api/v1/keys", map[string]any{"name": "e", "scopes": []string{"keys:write"}, "expiresAt": expires}).data(t, &k)
	for _, tc := range []struct {
		expires any
		status  int
	}{{nil, http.StatusForbidden}, {expires.Add(time.Second), http.StatusForbidden}, {expires, http.StatusCreated}} {
		a := h.call(k.Key, http.MethodPost, "/api/v1/keys",
			map[string]any{"name": "x", "scopes": []string{"keys:write"}, "expiresAt": tc.expires})
		require.Equal(t, tc.status, a.status, "%v: %s", tc.expires, a.body)
	}
}

func TestAKeyOfOneInstanceSeesNoOther(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	mine, other := h.instance(), h.instance()
	m1, m2 := h.received(mine, "c1", "1", "one"), h.received(other, "c2", "2", "two")
	a := h.admin(http.MethodPost, "/api/v1/keys", map[string]any{"name": "r", "scopes": []string{"admin"}, "instanceIds": []uuid.UUID{mine}})
	var k struct{ Key string }
	a.data(t, &k)
	get := func(path string) *answer { return h.call(k.Key, http.MethodGet, "/api/v1"+path, nil) }
	for path, status := range map[string]int{
		"/instances/" + mine.String(): 200, "/instances/" + other.String(): 404,
		"/instances/" + other.String() + "/status": 404,
		"/messages/" + m1.String():                 200, "/messages/" + m2.String(): 404,
		"/messages/" + m2.String() + "/trace":         404,
		"/chats/" + omni.ChatID(other, "c2").String(): 404, "/chats/" + omni.ChatID(other, "c2").String() + "/messages": 404,
		"/persons/" + h.personOf(m1).String(): 200, "/persons/" + h.personOf(m2).String(): 404,
	} {
		require.Equal(t, status, get(path).status, path)
	}
	for _, path := range []string{"/instances", "/messages", "/chats", "/persons"} {
		var list []map[string]any
		get(path).data(t, &list)
		require.Len(t, list, 1, path)
	}
	var events []event
	get("/events").data(t, &events)
	require.NotEmpty(t, events)
	for _, e := range events {
		require.Equal(t, "/instances/"+mine.String(), e.Source)
	}
	for _, body := range []map[string]any{
		textTo(other, "c2", "x"),
		{"chatId": omni.ChatID(other, "c2"), "content": map[string]any{"text": "x"}},
		{"personId": h.personOf(m2), "content": map[string]any{"text": "x"}},
	} {
		require.Equal(t, http.StatusNotFound, h.call(k.Key, http.MethodPost, "/api/v1/messages", body).status, "%v", body)
	}
	require.Equal(t, http.StatusNotFound, h.call(k.Key, http.MethodPatch, "/api/v1/instances/"+other.String(), `{"name":"x"}`).status)
	require.Equal(t, http.StatusNotFound, h.call(k.Key, http.MethodDelete, "/api/v1/instances/"+other.String(), nil).status)
}

func TestKeysExpire(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	a := h.admin(http.MethodPost, "/api/v1/keys", map[string]any{"name": "x", "scopes": []string{"admin"},
		"expiresAt": time.Now().Add(2 * time.Second)})
	var k struct{ Key string }
	a.data(t, &k)
	require.Equal(t, http.StatusOK, h.call(k.Key, http.MethodGet, "/api/v1/keys", nil).status)
	require.Eventually(t, func() bool {
		return h.call(k.Key, http.MethodGet, "/api/v1/keys", nil).status == http.StatusUnauthorized
	}, 20*time.Second, 50*time.Millisecond)
}

func TestRateLimitPerKey(t *testing.T) {
	t.Parallel()
	h := newHub(t, func(d *api.Deps) { d.Rate, d.Burst = 0.5, 3 })
	for range 3 {
		require.Equal(t, http.StatusOK, h.admin(http.MethodGet, "/api/v1/keys", nil).status)
	}
	a := h.admin(http.MethodGet, "/api/v1/keys", nil)
	require.Equal(t, http.StatusTooManyRequests, a.status)
	require.Equal(t, "rate_limited", a.code(t))
	require.Equal(t, "2", a.header.Get("Retry-After"))
	for range 10 {
		require.NotEqual(t, http.StatusTooManyRequests, h.call("", http.MethodPost, "/webhook/custom/"+unknownUUID, "{}").status)
	}
}
