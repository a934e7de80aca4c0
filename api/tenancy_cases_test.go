package api_test

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/store"
)

// tenancyCase says what the ids of an operation name, so that it can be called
// with somebody else's. Every operation of the OpenAPI document has one.
type tenancyCase struct {
	// path are the kinds of objects that the path's parameters name, in order.
	path []string
	// body is a valid body; {{kind}} stands for the id of an object.
	body string
	// selects: the body's ids choose among what the caller has, like the filters
	// of a list, and none of it is an answer too.
	selects bool
	// own is what the owner's GET answers; 0: 200.
	own int
	// limited is what a key of another instance of the same tenant is answered
	// instead of 404, where the object belongs to no instance.
	limited int
	// endless: the answer is a stream; it has tests of its own.
	endless bool
}

// tenancyCases by operation id. A new route needs an entry, and its object a
// line in world.make, or TestNobodyReachesAnotherTenantsObjects fails.
var tenancyCases = map[string]tenancyCase{
	"list-channels": {},

	"list-instances":      {},
	"create-instance":     {body: bodies["create-instance"]},
	"get-instance":        {path: []string{"instance"}},
	"update-instance":     {path: []string{"instance"}, body: `{"name":"y","agentId":"{{agent}}"}`},
	"delete-instance":     {path: []string{"instance"}},
	"instance-status":     {path: []string{"instance"}},
	"instance-qr":         {path: []string{"instance"}, own: http.StatusUnprocessableEntity},
	"connect-instance":    {path: []string{"instance"}},
	"disconnect-instance": {path: []string{"instance"}},
	"restart-instance":    {path: []string{"instance"}},

	"list-agents":    {},
	"create-agent":   {body: bodies["create-agent"]},
	"get-agent":      {path: []string{"agent"}, limited: http.StatusForbidden},
	"update-agent":   {path: []string{"agent"}, body: bodies["update-agent"], limited: http.StatusForbidden},
	"delete-agent":   {path: []string{"agent"}, limited: http.StatusForbidden},
	"test-agent":     {path: []string{"agent"}, body: bodies["test-agent"], limited: http.StatusForbidden},
	"list-routes":    {path: []string{"instance"}},
	"create-route":   {path: []string{"instance"}, body: `{"agentId":"{{agent}}","chatId":"{{chat}}"}`},
	"delete-routes":  {path: []string{"instance"}},
	"delete-route":   {path: []string{"instance", "route"}},
	"explain-routes": {path: []string{"instance"}},

	"send-message":     {body: `{"instanceId":"{{instance}}","chatId":"{{chat}}","replyTo":"{{message}}","content":{"type":"text","text":"hi"}}`},
	"list-messages":    {},
	"get-message":      {path: []string{"message"}},
	"trace-message":    {path: []string{"message"}},
	"delete-message":   {path: []string{"scheduled"}},
	"resolve-delivery": {path: []string{"outbound"}, body: bodies["resolve-delivery"]},

	"list-chats":         {},
	"get-chat":           {path: []string{"chat"}},
	"list-chat-messages": {path: []string{"chat"}},
	"takeover-chat":      {path: []string{"chat"}, body: bodies["takeover-chat"]},
	"resume-chat":        {path: []string{"chat"}},
	"reset-chat":         {path: []string{"chat"}},

	"reply-to-turn": {path: []string{"turn"}, body: bodies["reply-to-turn"]},

	"list-persons": {},
	"get-person":   {path: []string{"person"}},

	"list-person-identities": {path: []string{"person"}},
	"person-timeline":        {path: []string{"person"}},
	"person-presence":        {path: []string{"person"}},
	"update-person":          {path: []string{"person"}, body: `{"preferredIdentityId":"{{identity}}"}`},

	"list-access-rules":  {},
	"create-access-rule": {body: `{"instanceId":"{{instance}}","type":"deny","match":{"chatId":"{{chat}}"}}`},
	"get-access-rule":    {path: []string{"rule"}},
	"update-access-rule": {path: []string{"rule"}, body: `{"match":{"personId":"{{person}}"}}`},
	"delete-access-rule": {path: []string{"rule"}},
	"check-access":       {body: `{"instanceId":"{{instance}}","personId":"{{person}}","chatId":"{{chat}}"}`},
	"list-pairings":      {},
	"decide-pairing":     {body: `{"instanceId":"{{instance}}","code":"K7QM-2XPA"}`},

	"merge-persons":      {body: `{"sourcePersonId":"{{person}}","targetPersonId":"{{second person}}"}`},
	"link-identity":      {body: `{"identityId":"{{identity}}","personId":"{{second person}}"}`},
	"unlink-identity":    {body: `{"identityId":"{{identity}}"}`},
	"list-merges":        {},
	"get-merge":          {path: []string{"merge"}},
	"undo-merge":         {path: []string{"merge"}},
	"list-suggestions":   {},
	"confirm-suggestion": {path: []string{"suggestion"}},
	"dismiss-suggestion": {path: []string{"suggestion"}},

	"list-events":   {},
	"get-event":     {path: []string{"event"}},
	"stream-events": {endless: true},
	"follow-events": {endless: true},

	"list-keys":    {},
	"create-key":   {body: `{"name":"k","scopes":["messages:read"],"instanceIds":["{{instance}}"]}`},
	"delete-key":   {path: []string{"key"}},
	"rotate-key":   {path: []string{"key"}},
	"audit-key":    {path: []string{"key"}},
	"list-tenants": {},

	"get-media": {path: []string{"attachment"}},

	"list-dead-letters":    {},
	"get-dead-letter":      {path: []string{"dead letter"}},
	"retry-dead-letter":    {path: []string{"dead letter"}},
	"resolve-dead-letter":  {path: []string{"dead letter"}},
	"retry-dead-letters":   {body: `{"instanceId":"{{instance}}","chatId":"{{chat}}","personId":"{{person}}"}`, selects: true},
	"resolve-dead-letters": {body: `{"instanceId":"{{instance}}","chatId":"{{chat}}","personId":"{{person}}"}`, selects: true},
}

// alternatives are further bodies of operations whose ids exclude each other.
var alternatives = map[string][]string{
	"create-instance": {`{"name":"x","channel":"custom","channelConfig":{"secret":"` + hookSecret + `"},"agentId":"{{agent}}"}`},
	"create-route":    {`{"agentId":"{{agent}}","personId":"{{person}}"}`},
	"send-message": {
		`{"instanceId":"{{instance}}","to":"c9","content":{"type":"text","text":"hi"}}`,
		`{"personId":"{{person}}","content":{"type":"text","text":"hi"}}`,
	},
	"create-access-rule": {`{"instanceId":"{{instance}}","type":"deny","match":{"personId":"{{person}}"}}`},
	"decide-pairing":     {`{"id":"{{pairing}}"}`, `{"id":"{{pairing}}","action":"reject"}`},
	"update-access-rule": {`{"instanceId":"{{instance}}"}`, `{"match":{"chatId":"{{chat}}"}}`},
}

// queryKinds are the kinds of objects that filters of lists name.
var queryKinds = map[string]string{"instanceId": "instance", "chatId": "chat", "personId": "person", "correlationId": "message", "turnId": "turn",
	"routeId": "route"}

// world is one of everything that a tenant has on one instance, by kind. word
// stands in each of its texts.
type world struct {
	*hub
	tenant, key, word string
	ids               map[string]string
}

// make fills the world.
func (w *world) make() {
	w.t.Helper()
	in := w.create("/api/v1/instances", map[string]any{"name": w.word, "channel": "custom",
		"channelConfig": map[string]any{"secret": hookSecret}})
	w.ids["instance"] = in
	w.inbound(uuid.MustParse(in))
	w.pairing(uuid.MustParse(in))
	w.graph(uuid.MustParse(in))
	w.ids["agent"] = w.create("/api/v1/agents", map[string]any{"name": w.word})
	w.ids["route"] = w.create("/api/v1/instances/"+in+"/routes", map[string]any{"agentId": w.ids["agent"], "chatType": "group"})
	w.ids["rule"] = w.create("/api/v1/access/rules", map[string]any{"instanceId": in, "type": "deny", "match": map[string]any{"handle": w.word}, "reason": w.word})
	w.ids["outbound"] = w.create("/api/v1/messages", textTo(uuid.MustParse(in), "c-"+w.word, w.word))
	later := textTo(uuid.MustParse(in), "c-"+w.word, w.word)
	later["sendAt"] = time.Now().Add(time.Hour)
	w.ids["scheduled"] = w.create("/api/v1/messages", later)
	w.ids["key"] = w.create("/api/v1/keys", map[string]any{"name": w.word, "scopes": []string{"messages:read"}, "instanceIds": []string{in}})
	letter := uuid.New()
	instance := uuid.NullUUID{UUID: uuid.MustParse(in), Valid: true}
	require.NoError(w.t, w.store.RecordPoison(w.t.Context(), store.Poison{ID: letter, TenantID: w.tenant, InstanceID: instance,
		ChatID:    uuid.NullUUID{UUID: uuid.MustParse(w.ids["chat"]), Valid: true},
		MessageID: uuid.NullUUID{UUID: uuid.MustParse(w.ids["message"]), Valid: true},
		Error:     "reading an inbound event: " + w.word, Attempts: 1, Input: json.RawMessage(`{"word":"` + w.word + `"}`)}, 0))
	w.ids["dead letter"] = letter.String()
	w.ids["attachment"] = w.attach(uuid.MustParse(w.ids["message"]), omni.MediaReceived, "text/plain", w.word, w.word).String()
}

// inbound brings a message, with all that follows from it, and a turn.
func (w *world) inbound(instance uuid.UUID) {
	w.t.Helper()
	in := message.Inbound{ID: "m-" + w.word, Kind: message.KindMessage, Timestamp: time.Now().UTC(),
		Chat: message.Chat{ID: "c-" + w.word, Type: message.ChatDM, Name: w.word}, Sender: message.Sender{ID: "u-" + w.word, Name: w.word},
		Content: message.Content{Type: message.TypeText, Text: w.word}}
	env := omni.Envelope{TenantID: w.tenant, InstanceID: instance, Channel: "custom", ReceivedAt: time.Now().UTC(), Event: in}
	env.MessageID = omni.MessageID(instance, env.ExternalKey())
	require.NoError(w.t, w.store.Record(w.t.Context(), []omni.Envelope{env}, 0))
	w.ids["message"], w.ids["chat"] = env.MessageID.String(), env.ChatID().String()
	m, err := w.store.Message(w.t.Context(), w.tenant, env.MessageID)
	require.NoError(w.t, err)
	require.NotNil(w.t, m.PersonID)
	w.ids["person"] = m.PersonID.String()
	w.ids["turn"] = omni.TurnID(env.MessageID, 0).String()
	require.NoError(w.t, w.store.Pool().QueryRow(w.t.Context(),
		`SELECT id::text FROM events WHERE correlation_id = $1 AND type = 'message.received'`, env.MessageID).Scan(ptr(w.ids, "event")))
}

// graph brings two persons that were one, and two that may be.
func (w *world) graph(instance uuid.UUID) {
	w.t.Helper()
	identity := func(name string) uuid.UUID { return omni.IdentityID(instance, name+w.word) }
	for i, name := range []string{"one-", "two-", "three-", "four-"} {
		in := message.Inbound{ID: name + w.word, Kind: message.KindMessage, Timestamp: time.Now().UTC(),
			Chat: message.Chat{ID: name + w.word, Type: message.ChatDM}, Sender: message.Sender{ID: name + w.word, Name: w.word + name},
			Content: message.Content{Type: message.TypeText, Text: w.word}}
		if i > 1 {
			in.Sender.Username = "@" + w.word
		}
		env := omni.Envelope{TenantID: w.tenant, InstanceID: instance, Channel: "custom", ReceivedAt: time.Now().UTC(), Event: in}
		env.MessageID = omni.MessageID(instance, env.ExternalKey())
		require.NoError(w.t, w.store.Record(w.t.Context(), []omni.Envelope{env}, 0))
	}
	w.ids["identity"], w.ids["second person"] = identity("one-").String(), omni.FirstPersonID(identity("two-")).String()
	w.ids["merge"] = w.create("/api/v1/persons/link", map[string]any{"identityId": w.ids["identity"], "personId": w.ids["second person"]})
	_, err := w.store.FindSuggestions(w.t.Context(), 1000)
	require.NoError(w.t, err)
	require.NoError(w.t, w.store.Pool().QueryRow(w.t.Context(),
		`SELECT id::text FROM person_suggestions WHERE identity_a = ANY ($1)`, []uuid.UUID{identity("three-"), identity("four-")}).
		Scan(ptr(w.ids, "suggestion")))
}

// pairing brings a stranger who was given a code.
func (w *world) pairing(instance uuid.UUID) {
	w.t.Helper()
	id := uuid.New()
	_, err := w.store.Pool().Exec(w.t.Context(), `INSERT INTO access_pairings
			(id, tenant_id, instance_id, channel, identity_id, person_id, chat_id, message_id, code, expires_at)
		VALUES ($1, $2, $3, 'custom', $4, $5, $6, $7, $8, now() + interval '1 hour')`, id, w.tenant, instance,
		omni.IdentityID(instance, "u-"+w.word), w.ids["person"], w.ids["chat"], w.ids["message"], w.word)
	require.NoError(w.t, err)
	w.ids["pairing"] = id.String()
}

// create posts with the tenant's key and returns the new object's id.
func (w *world) create(path string, body any) string {
	w.t.Helper()
	a := w.call(w.key, http.MethodPost, path, body)
	require.Less(w.t, a.status, 300, "%s: %s", path, a.body)
	var made struct{ ID string }
	a.data(w.t, &made)
	return made.ID
}

// into lets Scan write a value of a map.
type into struct {
	m   map[string]string
	key string
}

func ptr(m map[string]string, key string) *into { return &into{m, key} }

// Scan implements sql.Scanner.
func (i *into) Scan(v any) error {
	i.m[i.key], _ = v.(string)
	return nil
}
