package api_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
)

// wrote records a message of a sender in their own chat, as the recorder does.
func (h *hub) wrote(instance uuid.UUID, from message.Sender, text string) (person uuid.UUID) {
	h.t.Helper()
	in := message.Inbound{ID: uuid.NewString(), Kind: message.KindMessage, Timestamp: time.Now().UTC(),
		Chat: message.Chat{ID: from.ID, Type: message.ChatDM}, Sender: from, Content: message.Content{Type: message.TypeText, Text: text}}
	env := omni.Envelope{TenantID: omni.DefaultTenant, InstanceID: instance, Channel: "custom", ReceivedAt: time.Now().UTC(), Event: in}
	env.MessageID = omni.MessageID(instance, env.ExternalKey())
	require.NoError(h.t, h.store.Record(h.t.Context(), []omni.Envelope{env}, 0))
	return h.personOf(env.MessageID)
}

// search lists the names of the persons that q finds, page by page.
func (h *hub) search(key, q string, limit int, more ...string) []string {
	h.t.Helper()
	var names []string
	for cursor := ""; ; {
		v := url.Values{"q": {q}, "limit": {fmt.Sprint(limit)}, "cursor": {cursor}}
		for i := 0; i+1 < len(more); i += 2 {
			v.Set(more[i], more[i+1])
		}
		a := h.call(key, http.MethodGet, "/api/v1/persons?"+v.Encode(), nil)
		require.Equal(h.t, http.StatusOK, a.status, "%s", a.body)
		var found []omni.Person
		a.data(h.t, &found)
		require.LessOrEqual(h.t, len(found), limit)
		for _, p := range found {
			names = append(names, p.DisplayName)
		}
		if cursor = a.next(h.t); cursor == "" {
			return names
		}
	}
}

//nolint:paralleltest,tparallel // one after the other, over the same people
func TestSearchFindsPeople(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	in := h.instance()
	for _, s := range []message.Sender{
		{ID: "1", Name: "José da Silva", Phone: "+5511987654321", Username: "jsilva"},
		{ID: "2", Name: "Ana", Email: "ana@example.com"},
		{ID: "3", Name: "Banana Joe", Username: "Kiko_99"},
		{ID: "4", Name: "Ana Maria Souza"},
		{ID: "5", Name: "Mariana"},
		{ID: "6", Name: "Иван Петров"},
		{ID: "7", Name: "王小明"},
		{ID: "8", Name: "Maria Ana"},
		{ID: "9", Name: "Sørén ŁUKASZ"},
		{ID: "acct_x-77", Name: "Zed"},
	} {
		h.wrote(in, s, "hi")
	}
	for q, want := range map[string][]string{
		"jose":               {"José da Silva"},
		"JOSÉ  silva":        {"José da Silva"},
		"silva jose":         {"José da Silva"},
		"11 98765-4321":      {"José da Silva"},
		"+55 (11) 987654321": {"José da Silva"},
		"0055 11 98765.4321": {"José da Silva"},
		"987654321":          {"José da Silva"},
		"@kiko":              {"Banana Joe"},
		"kiko_99":            {"Banana Joe"},
		"kikox99":            nil, // no wildcard
		"ana@EXAMPLE.com":    {"Ana"},
		"ИВАН":               {"Иван Петров"},
		"петр":               {"Иван Петров"},
		"小明":                 {"王小明"},
		"soren lukasz":       {"Sørén ŁUKASZ"},
		"acct_x-77":          {"Zed"},
		"jo":                 {"José da Silva", "Banana Joe"},
		"-":                  nil,
		"%":                  nil,
		"nobody at all":      nil,
	} {
		require.ElementsMatch(t, want, h.search(adminKey, q, 50), "searching %q", q)
	}
	t.Run("the best match first, over pages", func(t *testing.T) {
		for _, limit := range []int{1, 2, 50} {
			require.Equal(t, []string{"Ana", "Ana Maria Souza", "Maria Ana", "Mariana", "Banana Joe"}, h.search(adminKey, "ana", limit))
		}
	})
	t.Run("a cursor of another list", func(t *testing.T) {
		a := h.admin(http.MethodGet, "/api/v1/persons?limit=1", nil)
		require.Equal(t, http.StatusOK, a.status)
		bad := h.admin(http.MethodGet, "/api/v1/persons?q=ana&cursor="+url.QueryEscape(a.next(t)), nil)
		require.Equal(t, http.StatusUnprocessableEntity, bad.status)
		require.Equal(t, []string{"cursor"}, bad.fields(t))
	})
}

func TestSearchAndTimelineOfAKeyForOneInstance(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	mine, other := h.instance(), h.instance()
	key := h.keyFor(mine, "persons:read", "messages:read")
	both := h.wrote(mine, message.Sender{ID: "a", Name: "Ana"}, "to mine")
	h.join(both, h.wrote(other, message.Sender{ID: "secret-handle", Name: "Nightowl", Username: "nightowl"}, "to other"))
	hidden := h.wrote(other, message.Sender{ID: "h", Name: "Hidden Ana"}, "to other")

	require.Equal(t, []string{"Ana"}, h.search(key, "ana", 50))
	require.Empty(t, h.search(key, "nightowl", 50), "what accounts elsewhere are called is not found either")
	require.Equal(t, []string{"Ana"}, h.search(adminKey, "nightowl", 50), "one person, whatever account is searched for")
	require.Equal(t, []string{"Ana"}, h.search(adminKey, "nightowl", 50, "instanceId", mine.String()))
	require.Empty(t, h.search(adminKey, "hidden", 50, "instanceId", mine.String()))

	require.Equal(t, []string{"to other", "to mine"}, h.timeline(adminKey, both, ""))
	require.Equal(t, []string{"to mine"}, h.timeline(key, both, ""))
	require.Empty(t, h.timeline(key, both, "&instanceId="+other.String()))
	for _, path := range []string{"", "/timeline", "/identities"} {
		a := h.call(key, http.MethodGet, "/api/v1/persons/"+hidden.String()+path, nil)
		require.Equal(t, http.StatusNotFound, a.status, "%s: %s", path, a.body)
	}
	var accounts []omni.Identity
	h.call(key, http.MethodGet, "/api/v1/persons/"+both.String()+"/identities", nil).data(t, &accounts)
	require.Len(t, accounts, 1)
	require.Equal(t, mine, accounts[0].InstanceID)
}

// timeline lists the texts of a person's timeline, two at a time.
func (h *hub) timeline(key string, person uuid.UUID, query string) []string {
	h.t.Helper()
	var texts []string
	for cursor := ""; ; {
		a := h.call(key, http.MethodGet, "/api/v1/persons/"+person.String()+"/timeline?limit=2&cursor="+cursor+query, nil)
		require.Equal(h.t, http.StatusOK, a.status, "%s", a.body)
		var page []omni.Message
		a.data(h.t, &page)
		for _, m := range page {
			texts = append(texts, m.Content.Text)
		}
		if cursor = a.next(h.t); cursor == "" {
			return texts
		}
	}
}

func TestTimelineTellsEverything(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	first, second := h.instance(), h.instance()
	// Sent before anybody knew whose chat it is.
	cold := h.admin(http.MethodPost, "/api/v1/messages", map[string]any{"instanceId": first, "to": "a", "content": map[string]any{"type": "text", "text": "cold"}})
	require.Equal(t, http.StatusAccepted, cold.status, "%s", cold.body)
	ana := h.wrote(first, message.Sender{ID: "a", Name: "Ana"}, "one")
	h.join(ana, h.wrote(second, message.Sender{ID: "b", Name: "Ana B."}, "two"))
	h.wrote(first, message.Sender{ID: "z", Name: "Zed"}, "not hers")
	reply := h.admin(http.MethodPost, "/api/v1/messages", map[string]any{"instanceId": first, "to": "a", "content": map[string]any{"type": "text", "text": "reply"}})
	require.Equal(t, http.StatusAccepted, reply.status, "%s", reply.body)
	between := time.Now().UTC().Format(time.RFC3339Nano)
	h.wrote(second, message.Sender{ID: "b", Name: "Ana B."}, "three")

	require.Equal(t, []string{"three", "reply", "two", "one", "cold"}, h.timeline(adminKey, ana, ""))
	require.Equal(t, []string{"three", "two"}, h.timeline(adminKey, ana, "&instanceId="+second.String()))
	require.Equal(t, []string{"three", "two"}, h.timeline(adminKey, ana, "&chatId="+omni.ChatID(second, "b").String()))
	require.Equal(t, []string{"reply", "cold"}, h.timeline(adminKey, ana, "&direction=outbound"))
	require.Equal(t, []string{"three"}, h.timeline(adminKey, ana, "&since="+between))
	require.Equal(t, []string{"reply", "two", "one", "cold"}, h.timeline(adminKey, ana, "&until="+between))
	require.Empty(t, h.timeline(adminKey, ana, "&type=image"))
	require.Len(t, h.timeline(adminKey, ana, "&type=text"), 5)
	for field, query := range map[string]string{"since": "since=yesterday", "until": "until=x", "cursor": "cursor=x", "type": "type=song"} {
		a := h.admin(http.MethodGet, "/api/v1/persons/"+ana.String()+"/timeline?"+query, nil)
		require.Equal(t, http.StatusUnprocessableEntity, a.status, "%s", a.body)
		require.Equal(t, []string{field}, a.fields(t))
	}
}

// join makes the accounts of another person those of the first one.
func (h *hub) join(person, other uuid.UUID) {
	h.t.Helper()
	for _, table := range []string{"identities", "messages", "chats"} {
		_, err := h.store.Pool().Exec(h.t.Context(), "UPDATE "+table+" SET person_id = $1 WHERE person_id = $2", person, other)
		require.NoError(h.t, err)
	}
	_, err := h.store.Pool().Exec(h.t.Context(), "DELETE FROM persons WHERE id = $1", other)
	require.NoError(h.t, err)
}

// keyFor makes a key that is limited to an instance.
func (h *hub) keyFor(instance uuid.UUID, scopes ...string) string {
	h.t.Helper()
	a := h.admin(http.MethodPost, "/api/v1/keys", map[string]any{"name": "limited", "scopes": scopes, "instanceIds": []uuid.UUID{instance}})
	require.Equal(h.t, http.StatusCreated, a.status, "%s", a.body)
	var k struct{ Key string }
	a.data(h.t, &k)
	return k.Key
}

// next is the cursor of the page behind this one, "" where it is the last.
func (a *answer) next(t *testing.T) string {
	t.Helper()
	var env struct {
		Meta struct {
			NextCursor *string `json:"nextCursor"`
		} `json:"meta"`
	}
	require.NoError(t, json.Unmarshal(a.body, &env), "%s", a.body)
	if env.Meta.NextCursor == nil {
		return ""
	}
	return *env.Meta.NextCursor
}

//nolint:paralleltest,tparallel // one after the other: each looks at what the last one left
func TestUpdatePerson(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	mine, other := h.instance(), h.instance()
	ana := h.wrote(mine, message.Sender{ID: "a", Name: "Ana"}, "hi")
	h.join(ana, h.wrote(other, message.Sender{ID: "b", Name: "Ana B."}, "hi"))
	path := "/api/v1/persons/" + ana.String()
	patch := func(key string, body any) (*answer, omni.Person) {
		var p omni.Person
		a := h.call(key, http.MethodPatch, path, body)
		if a.status == http.StatusOK {
			a.data(t, &p)
		}
		return a, p
	}
	account := omni.IdentityID(other, "b")
	a, p := patch(adminKey, map[string]any{"displayName": " Ana Souza ", "phone": "+55 (11) 98765-4321", "email": "Ana@Example.com",
		"notes": "likes\ntea", "labels": []string{"vip", "vip", "press"}, "preferredIdentityId": account})
	require.Equal(t, http.StatusOK, a.status, "%s", a.body)
	require.Equal(t, "Ana Souza", p.DisplayName)
	require.Equal(t, "+5511987654321", p.Phone)
	require.Equal(t, "ana@example.com", p.Email)
	require.Equal(t, []string{"vip", "press"}, p.Labels)
	require.Equal(t, &account, p.PreferredIdentityID)
	require.Len(t, p.Identities, 2)
	require.Equal(t, []string{"Ana Souza"}, h.search(adminKey, "98765 4321", 10), "what was changed is found at once")

	t.Run("the event says what changed", func(t *testing.T) {
		var events []struct {
			Subject string
			Data    map[string]any
		}
		h.admin(http.MethodGet, "/api/v1/events?type=identity.updated&personId="+ana.String(), nil).data(t, &events)
		require.Len(t, events, 1)
		require.Equal(t, ana.String(), events[0].Subject)
		require.Equal(t, "+5511987654321", events[0].Data["phone"])
		require.Equal(t, "OMNI_API_KEY", events[0].Data["by"])
		a, p := patch(adminKey, `{"displayName":"Ana Souza"}`)
		require.Equal(t, http.StatusOK, a.status)
		require.Equal(t, "likes\ntea", p.Notes)
		h.admin(http.MethodGet, "/api/v1/events?type=identity.updated", nil).data(t, &events)
		require.Len(t, events, 1, "nothing changed")
	})
	t.Run("bad fields change nothing", func(t *testing.T) {
		for field, body := range map[string]string{
			"phone":               `{"displayName":"X","phone":"12"}`,
			"email":               `{"displayName":"X","email":"not an address"}`,
			"displayName":         `{"displayName":7}`,
			"notes":               `{"displayName":"X","notes":"a\u0000"}`,
			"labels[1]":           `{"displayName":"X","labels":["ok",""]}`,
			"labels":              `{"displayName":"X","labels":"vip"}`,
			"preferredIdentityId": `{"displayName":"X","preferredIdentityId":"` + omni.IdentityID(other, "z").String() + `"}`,
			"tenantId":            `{"displayName":"X","tenantId":"other"}`,
		} {
			a, _ := patch(adminKey, body)
			require.Equal(t, http.StatusUnprocessableEntity, a.status, "%s: %s", body, a.body)
			require.Equal(t, []string{field}, a.fields(t), body)
		}
		a := h.admin(http.MethodPatch, path, `[]`)
		require.Equal(t, http.StatusUnprocessableEntity, a.status)
		var now omni.Person
		h.admin(http.MethodGet, path, nil).data(t, &now)
		require.Equal(t, "Ana Souza", now.DisplayName)
	})
	t.Run("a key for one instance", func(t *testing.T) {
		key := h.keyFor(mine, "persons:read", "persons:write")
		a, _ := patch(key, map[string]any{"preferredIdentityId": account})
		require.Equal(t, http.StatusUnprocessableEntity, a.status, "not an account that it sees")
		a, p := patch(key, map[string]any{"labels": nil})
		require.Equal(t, http.StatusOK, a.status, "%s", a.body)
		require.Empty(t, p.Labels)
		require.Nil(t, p.PreferredIdentityID, "nor is it told of one")
		require.Len(t, p.Identities, 1)
		a = h.call(h.keyFor(other, "persons:write"), http.MethodPatch, "/api/v1/persons/"+h.wrote(mine, message.Sender{ID: "z"}, "x").String(), `{"notes":"x"}`)
		require.Equal(t, http.StatusNotFound, a.status)
	})
	t.Run("null takes away", func(t *testing.T) {
		_, p := patch(adminKey, `{"phone":null,"preferredIdentityId":null,"notes":""}`)
		require.Empty(t, p.Phone)
		require.Empty(t, p.Notes)
		require.Nil(t, p.PreferredIdentityID)
		require.Equal(t, "ana@example.com", p.Email)
	})
}

func TestAMessageToAPersonGoesWhereTheyAre(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	first, second := h.instance(), h.instance()
	ana := h.wrote(first, message.Sender{ID: "a", Name: "Ana"}, "one")
	h.join(ana, h.wrote(second, message.Sender{ID: "b", Name: "Ana B."}, "two"))
	type answered struct {
		ID, InstanceID, ChatID uuid.UUID
		To                     string
	}
	send := func(key string, more map[string]any, header ...string) (int, answered) {
		body := map[string]any{"personId": ana, "content": map[string]any{"text": "hello"}}
		maps.Copy(body, more)
		var out answered
		a := h.call(key, http.MethodPost, "/api/v1/messages", body, header...)
		if a.status == http.StatusAccepted {
			a.data(t, &out)
			var m omni.Message
			h.admin(http.MethodGet, "/api/v1/messages/"+out.ID.String(), nil).data(t, &m)
			require.Equal(t, out.InstanceID, m.InstanceID)
			require.Equal(t, out.ChatID, m.ChatID)
			require.Equal(t, &ana, m.PersonID)
		}
		return a.status, out
	}
	goesTo := func(instance uuid.UUID, to string, key string, more map[string]any, header ...string) answered {
		t.Helper()
		status, out := send(key, more, header...)
		require.Equal(t, http.StatusAccepted, status)
		require.Equal(t, instance, out.InstanceID)
		require.Equal(t, to, out.To)
		require.Equal(t, omni.ChatID(instance, to), out.ChatID)
		return out
	}
	state := func(instance uuid.UUID, status string) {
		_, err := h.store.Pool().Exec(t.Context(), "UPDATE instances SET status = $2 WHERE id = $1", instance, status)
		require.NoError(t, err)
	}
	key := h.keyFor(first, "messages:write")

	goesTo(second, "b", adminKey, nil)
	kept := goesTo(second, "b", adminKey, nil, "Idempotency-Key", "k")
	goesTo(first, "a", adminKey, map[string]any{"instanceId": first})
	h.wrote(first, message.Sender{ID: "a", Name: "Ana"}, "three") // within the same minute
	goesTo(first, "a", adminKey, nil)
	require.Equal(t, kept, goesTo(second, "b", adminKey, nil, "Idempotency-Key", "k"), "the same key says the same")
	h.wrote(second, message.Sender{ID: "b"}, "four")
	goesTo(second, "b", adminKey, nil)
	goesTo(first, "a", key, nil)
	status, _ := send(key, nil, "Idempotency-Key", "k")
	require.Equal(t, http.StatusUnprocessableEntity, status, "of what others sent elsewhere a key learns nothing")

	h.admin(http.MethodPatch, "/api/v1/persons/"+ana.String(), map[string]any{"preferredIdentityId": omni.IdentityID(first, "a")})
	goesTo(first, "a", adminKey, nil)
	state(second, "active")
	goesTo(second, "b", adminKey, nil)
	state(first, "active")
	goesTo(first, "a", adminKey, nil)

	stranger := h.keyFor(h.instance(), "messages:write")
	status, _ = send(stranger, nil)
	require.Equal(t, http.StatusNotFound, status)
	status, _ = send(key, map[string]any{"instanceId": second})
	require.Equal(t, http.StatusUnprocessableEntity, status)
	require.Equal(t, http.StatusNoContent, h.admin(http.MethodDelete, "/api/v1/instances/"+first.String(), nil).status)
	goesTo(second, "b", adminKey, nil)
}

func TestAMergedPersonAnswersUnderTheirFormerID(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	in := h.instance()
	var ids []uuid.UUID
	for _, id := range []string{"a", "b", "c"} {
		ids = append(ids, h.wrote(in, message.Sender{ID: id, Name: "Ana " + id}, "from "+id))
	}
	merge := func(source, target uuid.UUID) {
		answer, err := h.store.MergePersons(t.Context(), omni.GraphCall{TenantID: omni.DefaultTenant, By: "test", Reason: "test"}, source, target)
		require.NoError(t, err)
		require.Equal(t, omni.GraphDone, answer.State)
	}
	merge(ids[0], ids[1])
	merge(ids[1], ids[2])
	for _, id := range ids {
		var p omni.Person
		a := h.admin(http.MethodGet, "/api/v1/persons/"+id.String(), nil)
		require.Equal(t, http.StatusOK, a.status, "%s", a.body)
		a.data(t, &p)
		require.Equal(t, ids[2], p.ID)
		require.Equal(t, []string{"from c", "from b", "from a"}, h.timeline(adminKey, id, ""))
		sent := h.admin(http.MethodPost, "/api/v1/messages", map[string]any{"personId": id, "content": map[string]any{"text": "x"}, "sendAt": time.Now().Add(time.Hour)})
		require.Equal(t, http.StatusAccepted, sent.status, "%s", sent.body)
		cancel := struct{ ID uuid.UUID }{}
		sent.data(t, &cancel)
		_, err := h.store.Pool().Exec(t.Context(), "DELETE FROM messages WHERE id = $1", cancel.ID)
		require.NoError(t, err)
	}
	require.Equal(t, []string{"Ana c"}, h.search(adminKey, "ana", 10))
}
