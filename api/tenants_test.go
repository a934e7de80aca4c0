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

	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/store"
)

func TestATenantBeginsWithItsFirstKey(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	acme := h.newTenant("acme")
	in := h.instance()
	require.Equal(t, http.StatusNotFound, h.call(acme, http.MethodGet, "/api/v1/instances/"+in.String(), nil).status)
	var tenants []struct{ Name string }
	h.admin(http.MethodGet, "/api/v1/tenants", nil).data(t, &tenants)
	require.Equal(t, []struct{ Name string }{{"acme"}, {"default"}}, tenants)

	// Its admin makes keys of its own, and of nobody else: not even of one that is not there.
	var k struct{ Key, Tenant string }
	h.call(acme, http.MethodPost, "/api/v1/keys", `{"name":"x","scopes":["messages:read"],"tenant":"acme"}`).data(t, &k)
	require.Equal(t, "acme", k.Tenant)
	var refusals []string
	for _, tenant := range []string{"default", "globex", "NO NAME"} {
		a := h.call(acme, http.MethodPost, "/api/v1/keys", map[string]any{"name": "x", "scopes": []string{"messages:read"}, "tenant": tenant})
		require.Equal(t, http.StatusForbidden, a.status, "%s: %s", tenant, a.body)
		refusals = append(refusals, told(a, "-"))
	}
	require.Equal(t, refusals[0], refusals[1], "whether there is such a tenant is not told")
	require.Equal(t, http.StatusForbidden, h.call(acme, http.MethodGet, "/api/v1/tenants", nil).status)

	// A key of the default tenant needs to be its unrestricted admin.
	clerk := h.key("keys:write", "messages:read")
	require.Equal(t, http.StatusForbidden, h.call(clerk, http.MethodPost, "/api/v1/keys", `{"name":"x","scopes":["messages:read"],"tenant":"globex"}`).status)
	h.admin(http.MethodPost, "/api/v1/keys", map[string]any{"name": "r", "scopes": []string{"admin"}, "instanceIds": []uuid.UUID{in}}).data(t, &k)
	for _, call := range []*answer{
		h.call(k.Key, http.MethodPost, "/api/v1/keys", map[string]any{"name": "x", "scopes": []string{"admin"}, "instanceIds": []uuid.UUID{in}, "tenant": "acme"}),
		h.call(k.Key, http.MethodGet, "/api/v1/tenants", nil),
	} {
		require.Equal(t, http.StatusForbidden, call.status, "%s", call.body)
	}
	for _, name := range []string{"Acme", "a.b", "-a", "a*", strings.Repeat("a", 64)} {
		a := h.admin(http.MethodPost, "/api/v1/keys", map[string]any{"name": "x", "scopes": []string{"admin"}, "tenant": name})
		require.Equal(t, http.StatusUnprocessableEntity, a.status, "%s: %s", name, a.body)
		require.Contains(t, a.fields(t), "tenant")
	}
	a := h.admin(http.MethodPost, "/api/v1/keys", map[string]any{"name": "x", "scopes": []string{"admin"}, "tenant": "acme", "instanceIds": []uuid.UUID{in}})
	require.Equal(t, http.StatusUnprocessableEntity, a.status, "an instance of another tenant: %s", a.body)
	h.admin(http.MethodGet, "/api/v1/tenants", nil).data(t, &tenants)
	require.Len(t, tenants, 2, "what was refused has made no tenant")
}

func TestKeysAreRotated(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	type made struct {
		ID   uuid.UUID
		Key  string
		Name string
	}
	create := func(body any) (k made) {
		h.admin(http.MethodPost, "/api/v1/keys", body).data(t, &k)
		return k
	}
	path := func(k made) string { return "/api/v1/keys/" + k.ID.String() + "/rotate" }
	old := create(map[string]any{"name": "crm", "scopes": []string{"messages:read"}})
	require.Equal(t, http.StatusOK, h.call(old.Key, http.MethodGet, "/api/v1/messages", nil).status)
	var rotated made
	a := h.admin(http.MethodPost, path(old), nil)
	require.Equal(t, http.StatusOK, a.status, "%s", a.body)
	a.data(t, &rotated)
	require.Equal(t, old.ID, rotated.ID)
	require.Equal(t, "crm", rotated.Name)
	require.NotEqual(t, old.Key, rotated.Key)
	require.Equal(t, http.StatusUnauthorized, h.call(old.Key, http.MethodGet, "/api/v1/messages", nil).status, "at once")
	require.Equal(t, http.StatusOK, h.call(rotated.Key, http.MethodGet, "/api/v1/messages", nil).status)
	require.NotContains(t, string(h.admin(http.MethodGet, "/api/v1/keys", nil).body), rotated.Key)

	// Who rotates a key can use it: so only those who could have made it.
	clerk := h.key("keys:write", "messages:read")
	require.Equal(t, http.StatusOK, h.call(clerk, http.MethodPost, path(rotated), nil).status)
	strong := create(map[string]any{"name": "s", "scopes": []string{"admin"}})
	require.Equal(t, http.StatusForbidden, h.call(clerk, http.MethodPost, path(strong), nil).status)
	brief := create(map[string]any{"name": "b", "scopes": []string{"admin"}, "expiresAt": time.Now().Add(time.Hour)})
	require.Equal(t, http.StatusForbidden, h.call(brief.Key, http.MethodPost, path(strong), nil).status, "it would outlive the caller")
	require.Equal(t, http.StatusOK, h.call(strong.Key, http.MethodGet, "/api/v1/keys", nil).status, "what was refused changed nothing")

	gone := create(map[string]any{"name": "g", "scopes": []string{"admin"}, "expiresAt": time.Now().Add(150 * time.Millisecond)})
	require.Eventually(t, func() bool {
		return h.call(gone.Key, http.MethodGet, "/api/v1/keys", nil).status == http.StatusUnauthorized
	}, 20*time.Second, 20*time.Millisecond)
	a = h.admin(http.MethodPost, path(gone), nil)
	require.Equal(t, http.StatusConflict, a.status)
	require.Equal(t, "key_expired", a.code(t))
}

// Of many who rotate at once, one gets a key that works; nobody one that does not.
func TestRotationsAtOnceGiveOneKey(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	var k struct {
		ID uuid.UUID
	}
	h.admin(http.MethodPost, "/api/v1/keys", map[string]any{"name": "x", "scopes": []string{"messages:read"}}).data(t, &k)
	stored, err := h.store.APIKey(t.Context(), omni.DefaultTenant, k.ID)
	require.NoError(t, err)
	var wg sync.WaitGroup
	won := make(chan string, 8)
	for range 8 {
		wg.Go(func() {
			key, prefix := omni.NewAPIKey()
			if _, err := h.store.RotateAPIKey(t.Context(), omni.DefaultTenant, k.ID, stored.Prefix, prefix, omni.HashAPIKey(key)); err == nil {
				won <- key
			}
		})
	}
	wg.Wait()
	close(won)
	var keys []string
	for key := range won {
		keys = append(keys, key)
	}
	require.Len(t, keys, 1)
	require.Equal(t, http.StatusOK, h.call(keys[0], http.MethodGet, "/api/v1/messages", nil).status)
}

func TestTheLastAdminKeyStays(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	acme := h.newTenant("acme")
	var keys []struct{ ID uuid.UUID }
	h.call(acme, http.MethodGet, "/api/v1/keys", nil).data(t, &keys)
	first := "/api/v1/keys/" + keys[0].ID.String()
	a := h.call(acme, http.MethodDelete, first, nil)
	require.Equal(t, http.StatusConflict, a.status)
	require.Equal(t, "last_admin_key", a.code(t))
	require.Equal(t, http.StatusOK, h.call(acme, http.MethodPost, first+"/rotate", nil).status, "it may be rotated")

	// Two that end each other at once leave one.
	second, err := h.store.CreateAPIKey(t.Context(), omni.APIKey{TenantID: "acme", Name: "b", Scopes: []string{"admin"}}, omni.HashAPIKey("second"))
	require.NoError(t, err)
	results := make(chan error, 2)
	for _, id := range []uuid.UUID{keys[0].ID, second.ID} {
		go func() { results <- h.store.RevokeAPIKey(t.Context(), "acme", id, true) }()
	}
	refused := 0
	for range 2 {
		if err := <-results; err != nil {
			require.ErrorIs(t, err, omni.ErrLastAdmin)
			refused++
		}
	}
	require.Equal(t, 1, refused)

	// The default tenant's owner has the configuration's.
	var k struct{ ID uuid.UUID }
	h.admin(http.MethodPost, "/api/v1/keys", map[string]any{"name": "x", "scopes": []string{"admin"}}).data(t, &k)
	require.Equal(t, http.StatusNoContent, h.admin(http.MethodDelete, "/api/v1/keys/"+k.ID.String(), nil).status)
}

func TestAWrongScopeNamesTheNearest(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	for scope, meant := range map[string]string{"mesages:read": "messages:read", "chats:writ": "chats:write", "Admin": "admin", "dead_letters:read": "dead-letters:read"} {
		a := h.admin(http.MethodPost, "/api/v1/keys", map[string]any{"name": "x", "scopes": []string{"messages:read", scope}})
		require.Equal(t, http.StatusUnprocessableEntity, a.status)
		require.Equal(t, []string{"scopes[1]"}, a.fields(t))
		require.Contains(t, string(a.body), "did you mean "+meant+"?")
	}
	a := h.admin(http.MethodPost, "/api/v1/keys", map[string]any{"name": "x", "scopes": []string{strings.Repeat("x", 1<<19)}})
	require.Equal(t, http.StatusUnprocessableEntity, a.status)
	require.Less(t, len(a.body), 2000, "a long word is neither compared nor repeated")
}

type use struct {
	Method, Route, Path, RequestID, Address string
	Status                                  int
}

func TestWhatIsDoneWithAKeyIsWrittenDown(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	in := h.instance()
	var k struct {
		ID  uuid.UUID
		Key string
	}
	h.admin(http.MethodPost, "/api/v1/keys", map[string]any{"name": "x", "scopes": []string{"instances:write"}}).data(t, &k)
	path := "/api/v1/instances/" + in.String()
	require.Equal(t, http.StatusOK, h.call(k.Key, http.MethodPatch, path+"?secret=hidden", `{"name":"y"}`, "X-Request-Id", "first").status)
	require.Equal(t, http.StatusForbidden, h.call(k.Key, http.MethodPost, "/api/v1/keys", bodies["create-key"], "X-Request-Id", "second").status)
	require.Equal(t, http.StatusNotFound, h.call(k.Key, http.MethodDelete, "/api/v1/instances/%00%ff", nil, "X-Request-Id", "third").status)
	require.Equal(t, http.StatusForbidden, h.call(k.Key, http.MethodGet, path, nil).status, "reading is not written down")
	require.NoError(t, h.control.Audit.Flush(t.Context()))
	audit := func() (uses []use) {
		a := h.admin(http.MethodGet, "/api/v1/keys/"+k.ID.String()+"/audit", nil)
		require.Equal(t, http.StatusOK, a.status, "%s", a.body)
		a.data(t, &uses)
		return uses
	}
	want := []use{
		{"DELETE", "/api/v1/instances/:id", "/api/v1/instances/\uFFFD\uFFFD", "third", "127.0.0.1", 404},
		{"POST", "/api/v1/keys", "/api/v1/keys", "second", "127.0.0.1", 403},
		{"PATCH", "/api/v1/instances/:id", path, "first", "127.0.0.1", 200},
	}
	for i := range want {
		want[i].Route = strings.ReplaceAll(want[i].Route, ":id", "{id}")
	}
	require.Equal(t, want, audit())
	require.Equal(t, http.StatusNoContent, h.admin(http.MethodDelete, "/api/v1/keys/"+k.ID.String(), nil).status)
	require.Equal(t, want, audit(), "also when the key has ended")

	// The configuration's key is written down like any other.
	require.NoError(t, h.control.Audit.Flush(t.Context()))
	a := h.admin(http.MethodGet, "/api/v1/keys/00000000-0000-8000-8000-000000000001/audit?limit=1", nil)
	require.Contains(t, string(a.body), "/api/v1/keys/"+k.ID.String())
	require.Equal(t, http.StatusNotFound, h.call(h.newTenant("acme"), http.MethodGet, "/api/v1/keys/00000000-0000-8000-8000-000000000001/audit", nil).status)
}

func TestTheAuditIsBounded(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	key, other := uuid.New(), uuid.New()
	now := time.Now().UTC()
	var uses []omni.KeyUse
	for i := range 30 {
		uses = append(uses, omni.KeyUse{ID: uuid.New(), TenantID: "default", KeyID: key, Method: "POST", Status: 200, CreatedAt: now.Add(-time.Duration(i) * time.Minute)})
	}
	uses = append(uses, omni.KeyUse{ID: uuid.New(), TenantID: "default", KeyID: other, CreatedAt: now.AddDate(0, 0, -91)},
		omni.KeyUse{ID: uuid.New(), TenantID: "default", KeyID: other, CreatedAt: now.AddDate(0, 0, -89)})
	for range 2 { // a batch that is written again after a failure is there once
		require.NoError(t, h.store.AppendKeyAudit(t.Context(), uses))
	}
	require.NoError(t, h.store.ForgetKeyAudit(t.Context(), 90, 10))
	kept, err := h.store.ListKeyAudit(t.Context(), "default", key, omni.Page{Limit: 100})
	require.NoError(t, err)
	require.Len(t, kept, 10)
	require.Equal(t, uses[0].ID, kept[0].ID, "the newest stay")
	kept, err = h.store.ListKeyAudit(t.Context(), "default", other, omni.Page{Limit: 100})
	require.NoError(t, err)
	require.Len(t, kept, 1)
}

func TestAKeyOfOneInstanceKnowsOnlyKeysLikeIt(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	mine, other := h.instance(), h.instance()
	create := func(key string, ids ...uuid.UUID) (k struct {
		ID  uuid.UUID
		Key string
	}) {
		a := h.call(key, http.MethodPost, "/api/v1/keys", map[string]any{"name": "x", "scopes": []string{"admin"}, "instanceIds": ids})
		require.Equal(t, http.StatusCreated, a.status, "%s", a.body)
		a.data(t, &k)
		return k
	}
	limited, both := create(adminKey, mine), create(adminKey, mine, other)
	all := h.key("admin")
	require.Equal(t, http.StatusOK, h.call(all, http.MethodGet, "/api/v1/keys", nil).status)
	var list []struct{ ID uuid.UUID }
	h.call(limited.Key, http.MethodGet, "/api/v1/keys", nil).data(t, &list)
	require.Equal(t, []struct{ ID uuid.UUID }{{limited.ID}}, list)
	for _, path := range []string{"", "/rotate", "/audit"} {
		method := map[string]string{"": http.MethodDelete, "/rotate": http.MethodPost, "/audit": http.MethodGet}[path]
		require.Equal(t, http.StatusNotFound, h.call(limited.Key, method, "/api/v1/keys/"+both.ID.String()+path, nil).status)
	}
	require.Equal(t, http.StatusOK, h.call(both.Key, http.MethodPost, "/api/v1/keys/"+limited.ID.String()+"/rotate", nil).status)
}

// A second process learns of an ended key within a second.
func TestAnEndedKeyEndsInEveryProcess(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	other := h.twin()
	var k struct {
		ID  uuid.UUID
		Key string
	}
	h.admin(http.MethodPost, "/api/v1/keys", map[string]any{"name": "x", "scopes": []string{"messages:read"}}).data(t, &k)
	require.Equal(t, http.StatusOK, other.call(k.Key, http.MethodGet, "/api/v1/messages", nil).status)
	require.Equal(t, http.StatusNoContent, h.admin(http.MethodDelete, "/api/v1/keys/"+k.ID.String(), nil).status)
	ended := time.Now()
	require.Eventually(t, func() bool {
		return other.call(k.Key, http.MethodGet, "/api/v1/messages", nil).status == http.StatusUnauthorized
	}, 20*time.Second, 20*time.Millisecond)
	require.Less(t, time.Since(ended), 4*time.Second, "a second, and a busy machine")
}

func TestALiveStreamShowsOnlyTheTenantsEvents(t *testing.T) {
	t.Parallel()
	h := live(t)
	acme, evil := h.newTenant("acme"), h.newTenant("evil")
	write := func(tenant, word string) {
		require.NoError(t, h.store.AppendEvent(t.Context(), store.NewEvent{TenantID: tenant, Type: omni.EventAgentError,
			InstanceID: uuid.New(), Channel: "custom", Data: map[string]any{"word": word}}))
		h.written()
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	word := func(e event) string { return string(e.Data) }
	next := func(s *sse) string { _, e := s.next(t); return word(e) }
	write("acme", "1")
	write("evil", "2")
	// From behind what is in memory, and live; both ways in.
	past := h.sse(ctx, "since=0", "X-Api-Key", evil)
	require.JSONEq(t, `{"word":"2"}`, next(past)) // from here on it is the past
	now, socket := h.sse(ctx, "", "X-Api-Key", evil), h.dial(ctx, "", evil)
	write("acme", "3")
	write("evil", "4")
	require.JSONEq(t, `{"word":"4"}`, next(past))
	require.JSONEq(t, `{"word":"4"}`, next(now))
	require.JSONEq(t, `{"word":"4"}`, word(readEvent(t, ctx, socket)))
	theirs := h.sse(ctx, "since=0", "X-Api-Key", acme)
	require.JSONEq(t, `{"word":"1"}`, next(theirs))
	require.JSONEq(t, `{"word":"3"}`, next(theirs))
}
