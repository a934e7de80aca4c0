package api_test

import (
	"encoding/json"
	"fmt"
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
