package api_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/internal/control"
	"github.com/omnihub/omni/internal/omni"
)

const rulesPath, checkPath, pairingsPath = "/api/v1/access/rules", "/api/v1/access/check", "/api/v1/access/pairings"

func (h *hub) rule(body string) omni.AccessRule {
	h.t.Helper()
	a := h.admin(http.MethodPost, rulesPath, body)
	require.Equal(h.t, http.StatusCreated, a.status, "%s: %s", body, a.body)
	var r omni.AccessRule
	a.data(h.t, &r)
	return r
}

func (h *hub) check(body string) control.AccessCheck {
	h.t.Helper()
	a := h.admin(http.MethodPost, checkPath, body)
	require.Equal(h.t, http.StatusOK, a.status, "%s: %s", body, a.body)
	var c control.AccessCheck
	a.data(h.t, &c)
	return c
}

func (h *hub) count(query string) (n int) {
	h.t.Helper()
	require.NoError(h.t, h.store.Pool().QueryRow(h.t.Context(), query).Scan(&n))
	return n
}

func guardedBy(mode string) string { return `{"access":{"mode":"` + mode + `"}}` }

func TestAccessRules(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	in := h.instance()
	h.received(in, "c1", "m1", "hello")
	chat := omni.ChatID(in, "c1")
	person := omni.FirstPersonID(omni.IdentityID(in, "user-c1"))
	whole := `{"instanceId":"` + in.String() + `","type":"deny","match":{"phone":"+55 (11) 98765-4321","platformUserId":"u*","personId":"` + person.String() +
		`","handle":"@Ana","chatId":"` + chat.String() + `","channel":"custom"},"priority":5,"reason":"spam","expiresAt":"2099-01-01T00:00:00Z",
		"schedule":{"timeZone":"America/Sao_Paulo","days":["mon","TUE","mon"],"from":"22:00","to":"06:00"},
		"rateLimit":{"count":3,"perSeconds":60},"notice":"Later, please."}`
	r := h.rule(whole)
	var shown map[string]any
	a := h.admin(http.MethodGet, rulesPath+"/"+r.ID.String(), nil)
	require.Equal(t, http.StatusOK, a.status)
	a.data(t, &shown)
	delete(shown, "createdAt")
	delete(shown, "updatedAt")
	require.Equal(t, map[string]any{"id": r.ID.String(), "instanceId": in.String(), "type": "deny", "priority": 5.0, "reason": "spam",
		"match": map[string]any{"phone": "+5511987654321", "platformUserId": "u*", "personId": person.String(), "handle": "Ana",
			"chatId": chat.String(), "channel": "custom"},
		"expiresAt": "2099-01-01T00:00:00Z", "notice": "Later, please.", "source": "api",
		"schedule":  map[string]any{"timeZone": "America/Sao_Paulo", "days": []any{"mon", "tue"}, "from": "22:00", "to": "06:00"},
		"rateLimit": map[string]any{"count": 3.0, "perSeconds": 60.0}}, shown)

	a = h.admin(http.MethodPatch, rulesPath+"/"+r.ID.String(), `{"instanceId":null,"schedule":null,"rateLimit":{"count":4},
		"match":{"phone":"+55*","personId":null,"chatId":null},"expiresAt":null}`)
	require.Equal(t, http.StatusOK, a.status, "%s", a.body)
	var changed omni.AccessRule
	a.data(t, &changed)
	require.Nil(t, changed.InstanceID)
	require.Nil(t, changed.Schedule)
	require.Nil(t, changed.ExpiresAt)
	require.Equal(t, &omni.RateLimit{Count: 4, PerSeconds: 60}, changed.RateLimit)
	require.Equal(t, omni.RuleMatch{Phone: "+55*", PlatformUserID: "u*", Handle: "Ana", Channel: "custom"}, changed.Match)
	require.Equal(t, "spam", changed.Reason, "what is not named stays")

	other := h.rule(`{"instanceId":"` + in.String() + `","type":"allow"}`)
	var list []omni.AccessRule
	for query, want := range map[string][]uuid.UUID{"": {other.ID, r.ID}, "?instanceId=" + in.String(): {other.ID}, "?type=deny": {r.ID},
		"?source=pairing": {}, "?limit=1": {other.ID}} {
		h.admin(http.MethodGet, rulesPath+query, nil).data(t, &list)
		require.Len(t, list, len(want), query)
		for i := range want {
			require.Equal(t, want[i], list[i].ID, query)
		}
	}
	require.Equal(t, http.StatusNoContent, h.admin(http.MethodDelete, rulesPath+"/"+r.ID.String(), nil).status)
	for _, method := range []string{http.MethodGet, http.MethodPatch, http.MethodDelete} {
		require.Equal(t, http.StatusNotFound, h.admin(method, rulesPath+"/"+r.ID.String(), `{"priority":1}`).status, method)
	}
	var events []struct {
		Type, Subject string
		Data          omni.AccessRule
	}
	h.admin(http.MethodGet, "/api/v1/events?type=access.rule_*", nil).data(t, &events)
	require.Len(t, events, 4)
	for i, want := range []string{"access.rule_deleted", "access.rule_created", "access.rule_updated", "access.rule_created"} {
		require.Equal(t, want, events[i].Type)
		require.Equal(t, events[i].Subject, events[i].Data.ID.String())
	}
}

// What cannot be meant is refused with the field that is wrong, and nothing is
// changed.
func TestBadAccessRules(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	in, other := h.instance(), h.instance()
	h.received(other, "c1", "m1", "hello")
	rule := h.rule(`{"type":"deny","match":{"platformUserId":"u1"},"schedule":{"days":["mon"]},"rateLimit":{"count":1,"perSeconds":1}}`)
	bad := map[string]string{
		`{"type":"block"}`:                                                                "type",
		`{"type":1}`:                                                                      "type",
		`{"type":"deny","priority":9999999}`:                                              "priority",
		`{"type":"deny","priority":"high"}`:                                               "priority",
		`{"type":"deny","colour":"red"}`:                                                  "colour",
		`{"type":"deny","match":{"name":"x"}}`:                                            "match.name",
		`{"type":"deny","match":{"phone":"not-a-phone"}}`:                                 "match.phone",
		`{"type":"deny","match":{"phone":"12"}}`:                                          "match.phone",
		`{"type":"deny","match":{"phone":"+55a*"}}`:                                       "match.phone",
		`{"type":"deny","match":{"phone":""}}`:                                            "match.phone",
		`{"type":"deny","match":{"handle":"@"}}`:                                          "match.handle",
		`{"type":"deny","match":{"handle":"a\\"}}`:                                        "match.handle",
		`{"type":"deny","match":{"platformUserId":"a\\b"}}`:                               "match.platformUserId",
		`{"type":"deny","match":{"platformUserId":"a\u0000"}}`:                            "match.platformUserId",
		`{"type":"deny","match":{"channel":"fax"}}`:                                       "match.channel",
		`{"type":"deny","match":{"chatType":"channel"}}`:                                  "match.chatType",
		`{"type":"deny","match":{"personId":"` + unknownUUID + `"}}`:                      "match.personId",
		`{"type":"deny","match":{"chatId":"` + unknownUUID + `"}}`:                        "match.chatId",
		`{"type":"deny","match":{"chatId":"c1"}}`:                                         "match.chatId",
		`{"type":"deny","instanceId":"` + unknownUUID + `"}`:                              "instanceId",
		`{"type":"deny","instanceId":"x"}`:                                                "instanceId",
		`{"type":"deny","expiresAt":"2001-01-01T00:00:00Z"}`:                              "expiresAt",
		`{"type":"deny","expiresAt":"tomorrow"}`:                                          "expiresAt",
		`{"type":"deny","schedule":{"timeZone":"Mars/Base","days":["mon"]}}`:              "schedule.timeZone",
		`{"type":"deny","schedule":{"timeZone":"Local","days":["mon"]}}`:                  "schedule.timeZone",
		`{"type":"deny","schedule":{"days":["mon","funday"]}}`:                            "schedule.days[1]",
		`{"type":"deny","schedule":{"from":"09:00","to":"09:00"}}`:                        "schedule.to",
		`{"type":"deny","schedule":{"from":"09:00","to":"25:00"}}`:                        "schedule.to",
		`{"type":"deny","schedule":{"from":"9am","to":"18:00"}}`:                          "schedule.from",
		`{"type":"deny","schedule":{"from":"24:00","to":"18:00"}}`:                        "schedule.from",
		`{"type":"deny","schedule":{"from":"09:00","to":null}}`:                           "schedule.to",
		`{"type":"deny","schedule":{"timeZone":"UTC","days":null,"from":null,"to":null}}`: "schedule",
		`{"type":"deny","rateLimit":{"count":-1,"perSeconds":60}}`:                        "rateLimit.count",
		`{"type":"deny","rateLimit":{"count":0,"perSeconds":60}}`:                         "rateLimit.count",
		`{"type":"deny","rateLimit":{"count":1,"perSeconds":0}}`:                          "rateLimit.perSeconds",
		`{"type":"deny","rateLimit":{"count":1.5,"perSeconds":60}}`:                       "rateLimit.count",
		`{"instanceId":"` + in.String() + `","match":{"chatId":"` + omni.ChatID(other, "c1").String() + `"},"type":"allow"}`: "match.chatId",
	}
	before := h.count(`SELECT count(*) FROM events`)
	var shown, still map[string]any
	h.admin(http.MethodGet, rulesPath+"/"+rule.ID.String(), nil).data(t, &shown)
	for _, body := range slices.Sorted(maps.Keys(bad)) {
		for method, path := range map[string]string{http.MethodPost: rulesPath, http.MethodPatch: rulesPath + "/" + rule.ID.String()} {
			a := h.admin(method, path, body)
			require.Equal(t, http.StatusUnprocessableEntity, a.status, "%s %s: %s", method, body, a.body)
			require.Contains(t, a.fields(t), bad[body], "%s %s: %s", method, body, a.body)
		}
	}
	for body, field := range map[string]string{`{}`: "type", `{"match":{}}`: "type", `{"type":"deny","rateLimit":{"count":1}}`: "rateLimit.perSeconds",
		`{"type":"deny","schedule":{"timeZone":"UTC"}}`: "schedule", `{"type":"deny","schedule":{"to":"09:00"}}`: "schedule.from"} {
		a := h.admin(http.MethodPost, rulesPath, body)
		require.Equal(t, http.StatusUnprocessableEntity, a.status, "%s: %s", body, a.body)
		require.Contains(t, a.fields(t), field, body)
	}
	for _, body := range []string{`{`, `[]`, `"x"`} {
		a := h.admin(http.MethodPost, rulesPath, body)
		require.Contains(t, []int{http.StatusBadRequest, http.StatusUnprocessableEntity}, a.status, "%s: %s", body, a.body)
	}
	h.admin(http.MethodGet, rulesPath+"/"+rule.ID.String(), nil).data(t, &still)
	require.Equal(t, shown, still)
	require.Equal(t, 1, h.count(`SELECT count(*) FROM access_rules`))
	require.Equal(t, before, h.count(`SELECT count(*) FROM events`))
}

func TestAccessCheckExplains(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	in := h.instance(guardedBy("allowlist"))
	h.received(in, "c1", "m1", "hello")
	who := func(more string) string { return `{"instanceId":"` + in.String() + `"` + more + `}` }
	c := h.check(who(`,"platformUserId":"user-c1"`))
	require.Equal(t, control.AccessCheck{Decision: "deny", Reason: "no rule allows", Mode: "allowlist", Considered: []omni.Considered{}}, c)

	weekdays := h.rule(who(`,"type":"allow","match":{"phone":"+55*"},"schedule":{"timeZone":"America/Sao_Paulo","days":["mon"],"from":"09:00","to":"18:00"}`))
	limited := h.rule(who(`,"type":"allow","match":{"platformUserId":"user-*"},"rateLimit":{"count":1,"perSeconds":3600},"priority":2`))
	blocked := h.rule(`{"type":"silent","match":{"platformUserId":"user-c1"},"priority":1,"reason":"noise"}`)
	elsewhere := h.instance()
	h.rule(`{"instanceId":"` + elsewhere.String() + `","type":"deny"}`)

	c = h.check(who(`,"phone":"+55 11 98765-4321","at":"2026-11-23T12:00:00Z"`))
	require.Equal(t, "allow", c.Decision)
	require.Equal(t, weekdays.ID, *c.RuleID)
	require.Len(t, c.Considered, 3, "those of another instance are not looked at")
	why := map[uuid.UUID]omni.Considered{}
	for _, one := range c.Considered {
		why[one.RuleID] = one
	}
	require.True(t, why[weekdays.ID].Matched && why[weekdays.ID].Decided)
	require.False(t, why[limited.ID].Matched)
	require.Equal(t, "another account", why[limited.ID].Why)
	require.Equal(t, "another account", why[blocked.ID].Why)
	c = h.check(who(`,"phone":"+5511987654321","at":"2026-11-23T21:00:00Z"`))
	require.Equal(t, "deny", c.Decision)
	require.Nil(t, c.RuleID)

	for range 3 { // nothing is taken
		c = h.check(who(`,"platformUserId":"user-c1"`))
		require.Equal(t, "allow", c.Decision)
		require.Equal(t, limited.ID, *c.RuleID)
		require.Equal(t, "one that goes before it decides", c.Considered[1].Why)
	}
	identity := omni.IdentityID(in, "user-c1")
	_, err := h.store.Pool().Exec(t.Context(), `INSERT INTO access_buckets VALUES ($1, $2, 'default', 0, now())`, limited.ID, identity)
	require.NoError(t, err)
	c = h.check(who(`,"personId":"` + omni.FirstPersonID(identity).String() + `"`))
	require.Equal(t, "deny", c.Decision)
	require.Equal(t, "rate limit: more than 1 in 3600 s", c.Reason)
	c = h.check(who(`,"platformUserId":"user-c1","at":"` + time.Now().Add(2*time.Hour).Format(time.RFC3339) + `"`))
	require.Equal(t, "allow", c.Decision, "filled by then")
	require.Equal(t, http.StatusOK, h.admin(http.MethodPatch, rulesPath+"/"+limited.ID.String(), `{"rateLimit":null,"type":"deny","priority":0}`).status)
	c = h.check(who(`,"platformUserId":"user-c1"`))
	require.Equal(t, "silent", c.Decision)
	require.Equal(t, "noise", c.Reason)

	h.admin(http.MethodPatch, "/api/v1/instances/"+in.String(), guardedBy("pairing"))
	c = h.check(who(`,"handle":"somebody"`))
	require.Equal(t, "pair", c.Decision)
	h.admin(http.MethodPatch, "/api/v1/instances/"+in.String(), guardedBy("disabled"))
	c = h.check(who(`,"platformUserId":"user-c1"`))
	require.Equal(t, "allow", c.Decision)
	require.Empty(t, c.Considered, "rules are not evaluated")
	require.Equal(t, 1, h.count(`SELECT count(*) FROM access_buckets`))
	require.Zero(t, h.count(`SELECT count(*) FROM access_pairings`))

	for body, field := range map[string]string{who(``): "platformUserId", who(`,"phone":"nope"`): "phone", `{"platformUserId":"x"}`: "instanceId",
		who(`,"platformUserId":"x","at":"noon"`): "at"} {
		a := h.admin(http.MethodPost, checkPath, body)
		require.Equal(t, http.StatusUnprocessableEntity, a.status, "%s: %s", body, a.body)
		require.Contains(t, a.fields(t), field, body)
	}
	for _, body := range []string{`{"instanceId":"` + unknownUUID + `","platformUserId":"x"}`, who(`,"personId":"` + unknownUUID + `"`),
		who(`,"platformUserId":"x","chatId":"` + unknownUUID + `"`)} {
		require.Equal(t, http.StatusNotFound, h.admin(http.MethodPost, checkPath, body).status, body)
	}
}

// strangers records and decides about a stranger who is given a code.
func (h *hub) stranger(instance uuid.UUID, chat string) omni.Pairing {
	h.t.Helper()
	id := h.received(instance, chat, "m-"+chat, "let me in")
	q, err := h.store.AccessQuestion(h.t.Context(), id)
	require.NoError(h.t, err)
	m, err := h.store.InboundMessage(h.t.Context(), id)
	require.NoError(h.t, err)
	_, err = h.store.CheckMessage(h.t.Context(), id, q.Plan(m, time.Now()), omni.Attempt{StartedAt: time.Now(), Number: 1})
	require.NoError(h.t, err)
	var list []omni.Pairing
	h.admin(http.MethodGet, pairingsPath+"?limit=1&instanceId="+instance.String(), nil).data(h.t, &list)
	require.Len(h.t, list, 1)
	require.Equal(h.t, "user-"+chat, list[0].PlatformUserID)
	return list[0]
}

func TestPairings(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	in := h.instance(guardedBy("pairing"))
	ana, bob := h.stranger(in, "ana"), h.stranger(in, "bob")
	require.Equal(t, "open", ana.Status)
	require.Equal(t, "Ana ana", ana.Name)

	for body, status := range map[string]int{`{}`: 422, `{"code":"?"}`: 422, `{"code":"K7QM-2XPA"}`: 404, `{"id":"` + unknownUUID + `"}`: 404,
		`{"code":"` + ana.Code + `","id":"` + ana.ID.String() + `"}`: 422, `{"code":"` + ana.Code + `","action":"marry"}`: 422,
		`{"code":"` + ana.Code + `","instanceId":"` + unknownUUID + `"}`: 404} {
		require.Equal(t, status, h.admin(http.MethodPost, pairingsPath, body).status, body)
	}
	a := h.admin(http.MethodPost, pairingsPath, `{"instanceId":"`+in.String()+`","code":"`+ana.Code+`"}`)
	require.Equal(t, http.StatusOK, a.status, "%s", a.body)
	var p omni.Pairing
	a.data(t, &p)
	require.Equal(t, "approved", p.Status)
	var r omni.AccessRule
	h.admin(http.MethodGet, rulesPath+"/"+p.RuleID.String(), nil).data(t, &r)
	require.Equal(t, "pairing", r.Source)
	require.Equal(t, "allow", h.check(`{"instanceId":"`+in.String()+`","platformUserId":"user-ana"}`).Decision)
	require.Equal(t, "pair", h.check(`{"instanceId":"`+in.String()+`","platformUserId":"user-bob"}`).Decision)

	a = h.admin(http.MethodPost, pairingsPath, `{"id":"`+bob.ID.String()+`","action":"reject"}`)
	require.Equal(t, http.StatusOK, a.status, "%s", a.body)
	a = h.admin(http.MethodPost, pairingsPath, `{"id":"`+bob.ID.String()+`"}`)
	require.Equal(t, http.StatusConflict, a.status)
	require.Equal(t, "pairing_not_open", a.code(t))
	var list []omni.Pairing
	for query, want := range map[string]int{"": 2, "?status=approved": 1, "?status=rejected": 1, "?status=open": 0, "?instanceId=" + unknownUUID: 0} {
		h.admin(http.MethodGet, pairingsPath+query, nil).data(t, &list)
		require.Len(t, list, want, query)
	}

	guesser := h.key("access:write")
	for range 10 {
		require.Equal(t, http.StatusNotFound, h.call(guesser, http.MethodPost, pairingsPath, `{"code":"K7QM-2XPA"}`).status)
	}
	a = h.call(guesser, http.MethodPost, pairingsPath, `{"code":"K7QM-2XPA"}`)
	require.Equal(t, http.StatusTooManyRequests, a.status)
	require.Equal(t, "60", a.header.Get("Retry-After"))
	require.Equal(t, "too_many_guesses", a.code(t))
}

// A key that is restricted to instances touches nothing of the others.
func TestAccessOfARestrictedKey(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	mine, theirs := h.instance(guardedBy("pairing")), h.instance(guardedBy("pairing"))
	pairing := h.stranger(theirs, "eva")
	all := h.rule(`{"type":"deny","match":{"platformUserId":"zoe"},"reason":"secret"}`)
	foreign := h.rule(`{"instanceId":"` + theirs.String() + `","type":"deny"}`)
	var k struct{ Key string }
	h.admin(http.MethodPost, "/api/v1/keys", map[string]any{"name": "r", "scopes": []string{"admin"}, "instanceIds": []uuid.UUID{mine}}).data(t, &k)
	a := h.call(k.Key, http.MethodPost, rulesPath, `{"instanceId":"`+mine.String()+`","type":"deny"}`)
	require.Equal(t, http.StatusCreated, a.status, "%s", a.body)
	var r omni.AccessRule
	a.data(t, &r)
	var list []omni.AccessRule
	h.call(k.Key, http.MethodGet, rulesPath, nil).data(t, &list)
	require.Len(t, list, 1)
	for _, id := range []uuid.UUID{all.ID, foreign.ID} {
		for _, method := range []string{http.MethodGet, http.MethodPatch, http.MethodDelete} {
			require.Equal(t, http.StatusNotFound, h.call(k.Key, method, rulesPath+"/"+id.String(), `{"priority":1}`).status)
		}
	}
	require.Equal(t, http.StatusForbidden, h.call(k.Key, http.MethodPost, rulesPath, `{"type":"deny"}`).status)
	require.Equal(t, http.StatusForbidden, h.call(k.Key, http.MethodPatch, rulesPath+"/"+r.ID.String(), `{"instanceId":null}`).status)
	for _, body := range []string{`{"instanceId":"` + theirs.String() + `","type":"deny"}`,
		`{"instanceId":"` + mine.String() + `","type":"deny","match":{"chatId":"` + omni.ChatID(theirs, "eva").String() + `"}}`,
		`{"instanceId":"` + mine.String() + `","type":"deny","match":{"personId":"` + pairing.PersonID.String() + `"}}`} {
		require.Equal(t, http.StatusUnprocessableEntity, h.call(k.Key, http.MethodPost, rulesPath, body).status, body)
	}
	require.Equal(t, http.StatusNotFound, h.call(k.Key, http.MethodPost, checkPath, `{"instanceId":"`+theirs.String()+`","platformUserId":"x"}`).status)
	a = h.call(k.Key, http.MethodPost, checkPath, `{"instanceId":"`+mine.String()+`","platformUserId":"x"}`)
	require.Equal(t, http.StatusOK, a.status)
	require.NotContains(t, string(a.body), "secret")
	for _, body := range []string{`{"code":"` + pairing.Code + `"}`, `{"id":"` + pairing.ID.String() + `"}`} {
		require.Equal(t, http.StatusNotFound, h.call(k.Key, http.MethodPost, pairingsPath, body).status)
	}
	var pairings []json.RawMessage
	h.call(k.Key, http.MethodGet, pairingsPath, nil).data(t, &pairings)
	require.Empty(t, pairings)
}
