package api_test

import (
	"net/http"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/internal/omni"
)

func TestMergeByAPI(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	in := h.instance()
	h.received(in, "c1", "m1", "hello")
	h.received(in, "c2", "m2", "hi")
	person := func(chat string) uuid.UUID { return omni.FirstPersonID(omni.IdentityID(in, "user-"+chat)) }
	ana, eve := person("c1"), person("c2")
	count := func(what string, id uuid.UUID) int {
		var rows []struct{ ID string }
		a := h.admin(http.MethodGet, "/api/v1/"+what+"personId="+id.String(), nil)
		require.Equal(t, http.StatusOK, a.status, "%s", a.body)
		a.data(t, &rows)
		return len(rows)
	}
	post := func(path string, body any) omni.Merge {
		a := h.admin(http.MethodPost, path, body)
		require.Equal(t, http.StatusOK, a.status, "%s", a.body)
		var m omni.Merge
		a.data(t, &m)
		require.NotEqual(t, uuid.Nil, m.ID)
		return m
	}
	const received = "events?type=message.received&"
	require.Equal(t, 1, count(received, eve))

	m := post("/api/v1/persons/merge", map[string]any{"sourcePersonId": ana, "targetPersonId": eve, "reason": "the same"})
	require.Equal(t, eve, m.PersonID)
	require.Equal(t, "the same", m.Reason)
	var became omni.Person
	h.admin(http.MethodGet, "/api/v1/persons/"+ana.String(), nil).data(t, &became)
	require.Equal(t, eve, became.ID)
	require.Equal(t, 2, count("messages?", eve))
	require.Equal(t, 2, count("chats?", eve))
	require.Equal(t, 2, count(received, eve), "the log is found by whose the messages are now")
	require.Equal(t, 2, count(received, ana), "and who asks for the one that became the other is answered, too")
	require.Equal(t, 1, count("events?type=identity.merged&", eve))
	require.Equal(t, 1, count("merges?", ana))

	undone := post("/api/v1/merges/"+m.ID.String()+"/undo", nil)
	require.NotNil(t, undone.UndoneAt)
	require.Equal(t, ana, undone.PersonID)
	require.Equal(t, 1, count("messages?", ana))
	require.Equal(t, 1, count(received, ana))
	require.Equal(t, 1, count(received, eve))
	again := h.admin(http.MethodPost, "/api/v1/merges/"+m.ID.String()+"/undo", nil)
	require.Equal(t, 409, again.status)
	require.Equal(t, "already_undone", again.code(t))

	identity := omni.IdentityID(in, "user-c1")
	linked := post("/api/v1/persons/link", map[string]any{"identityId": identity, "personId": eve})
	require.Equal(t, "link", linked.Kind)
	require.Equal(t, "already_linked", h.admin(http.MethodPost, "/api/v1/persons/link", map[string]any{"identityId": identity, "personId": eve}).code(t))
	apart := post("/api/v1/persons/unlink", map[string]any{"identityId": identity, "reason": "no"})
	require.Equal(t, 1, count("messages?", apart.PersonID))
	require.Equal(t, 1, count(received, apart.PersonID))
	require.Equal(t, "only_account", h.admin(http.MethodPost, "/api/v1/persons/unlink", map[string]any{"identityId": identity}).code(t))
	stands := h.admin(http.MethodPost, "/api/v1/merges/"+linked.ID.String()+"/undo", nil)
	require.Equal(t, "merge_superseded", stands.code(t))
	require.Contains(t, string(stands.body), apart.ID.String(), "says what to undo first")
}

func TestGraphRefusesBadInput(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	in := h.instance()
	h.received(in, "c1", "m1", "hello")
	ana, identity := omni.FirstPersonID(omni.IdentityID(in, "user-c1")).String(), omni.IdentityID(in, "user-c1").String()
	for _, c := range []struct {
		path   string
		body   string
		status int
		field  string
	}{
		{"/persons/merge", `{"sourcePersonId":"` + ana + `","targetPersonId":"` + ana + `"}`, 422, "targetPersonId"},
		{"/persons/merge", `{"sourcePersonId":"` + ana + `","targetPersonId":"nobody"}`, 422, "targetPersonId"},
		{"/persons/merge", `{"sourcePersonId":"` + ana + `"}`, 422, "targetPersonId"},
		{"/persons/merge", `{"sourcePersonId":"` + ana + `","targetPersonId":"` + unknownUUID + `"}`, 404, ""},
		{"/persons/merge", `{"sourcePersonId":"` + unknownUUID + `","targetPersonId":"` + ana + `"}`, 404, ""},
		{"/persons/merge", `{`, 400, ""},
		{"/persons/link", `{"identityId":"` + unknownUUID + `","personId":"` + ana + `"}`, 404, ""},
		{"/persons/link", `{"identityId":"` + identity + `","personId":"` + unknownUUID + `"}`, 404, ""},
		{"/persons/link", `{"identityId":"x","personId":"` + ana + `"}`, 422, "identityId"},
		{"/persons/unlink", `{}`, 422, "identityId"},
		{"/persons/unlink", `{"identityId":"` + unknownUUID + `"}`, 404, ""},
		{"/merges/" + unknownUUID + "/undo", ``, 404, ""},
		{"/merges/nothing/undo", ``, 404, ""},
		{"/persons/suggestions/" + unknownUUID + "/confirm", `{}`, 404, ""},
		{"/persons/suggestions/" + unknownUUID + "/dismiss", ``, 404, ""},
	} {
		var body any
		if c.body != "" {
			body = c.body
		}
		a := h.admin(http.MethodPost, "/api/v1"+c.path, body)
		require.Equal(t, c.status, a.status, "%s %s: %s", c.path, c.body, a.body)
		a.code(t)
		if c.field != "" {
			require.Contains(t, string(a.body), c.field)
		}
	}
	var none []omni.Merge
	h.admin(http.MethodGet, "/api/v1/merges", nil).data(t, &none)
	require.Empty(t, none)
	require.Equal(t, 403, h.call(h.key("persons:read"), http.MethodPost, "/api/v1/persons/merge", `{}`).status)
	require.Equal(t, 404, h.admin(http.MethodGet, "/api/v1/merges/"+unknownUUID, nil).status)
}
