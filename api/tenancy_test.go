package api_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/api"
	"github.com/omnihub/omni/internal/control"
)

// newTenant makes the first key of a tenant.
func (h *hub) newTenant(name string) string {
	h.t.Helper()
	a := h.admin(http.MethodPost, "/api/v1/keys", map[string]any{"name": "first", "scopes": []string{"admin"}, "tenant": name})
	require.Equal(h.t, http.StatusCreated, a.status, "%s", a.body)
	var k struct{ Key, Tenant string }
	a.data(h.t, &k)
	require.Equal(h.t, name, k.Tenant)
	return k.Key
}

func (h *hub) world(tenant, key, word string) *world {
	h.t.Helper()
	w := &world{hub: h, tenant: tenant, key: key, word: word, ids: map[string]string{}}
	w.make()
	return w
}

var placeholder = regexp.MustCompile(`\{\{([a-z ]+)\}\}`)

// visit is one operation as an outsider calls it: with an object of the victim
// in one place, with their own elsewhere.
type visit struct {
	op    operation
	path  []string // kinds
	body  string
	at    int    // which parameter of the path is not the caller's; -1: none
	field string // which kind in the body is not the caller's
	query string // which filter is not the caller's
}

// visits are the ways to name one thing that is somebody else's.
func (c tenancyCase) visits(op operation) []visit {
	var out []visit
	for i := range c.path {
		out = append(out, visit{op: op, path: c.path, body: c.body, at: i})
	}
	for _, body := range append([]string{c.body}, alternatives[op.id]...) {
		for _, m := range placeholder.FindAllStringSubmatch(body, -1) {
			out = append(out, visit{op: op, path: c.path, body: body, at: -1, field: m[1]})
		}
	}
	for _, name := range op.query {
		out = append(out, visit{op: op, path: c.path, at: -1, query: name})
	}
	return out
}

// make calls the operation with id in the foreign place.
func (v visit) make(h *hub, key string, own map[string]string, id string) *answer {
	h.t.Helper()
	mine := func(kind string) string {
		require.NotEmpty(h.t, own[kind], "%s: world.make makes no %s", v.op.id, kind)
		return own[kind]
	}
	path := v.op.path
	for i, kind := range v.path {
		with := id
		if i != v.at {
			with = mine(kind)
		}
		path = pathParam.ReplaceAllStringFunc(path, once(with))
	}
	if v.query != "" {
		path += "?" + v.query + "=" + id
	}
	if v.body == "" {
		return h.call(key, v.op.method, path, nil)
	}
	return h.call(key, v.op.method, path, placeholder.ReplaceAllStringFunc(v.body, func(m string) string {
		if kind := strings.Trim(m, "{}"); kind != v.field {
			return mine(kind)
		}
		return id
	}))
}

// named is the kind of object that the visit's foreign place names.
func (v visit) named() string {
	switch {
	case v.query != "":
		return queryKinds[v.query]
	case v.field != "":
		return v.field
	default:
		return v.path[v.at]
	}
}

var pathParam = regexp.MustCompile(`\{[^}]+\}`)

// once replaces the first match only.
func once(with string) func(string) string {
	done := false
	return func(m string) string {
		if done {
			return m
		}
		done = true
		return with
	}
}

// told is an answer without what differs between any two calls.
func told(a *answer, id string) string {
	text := regexp.MustCompile(`"requestId":"[^"]*"`).ReplaceAllString(string(a.body), "")
	return strings.ReplaceAll(text, id, "<id>")
}

// outsider is somebody who must not reach a world.
type outsider struct {
	name, key string
	own       *world
	limited   bool // a key of the same tenant, for another instance
}

func TestNobodyReachesAnotherTenantsObjects(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	acme := h.newTenant("acme")
	victim := h.world("acme", acme, "victimsword")
	second := h.world("acme", acme, "secondword")
	evil := h.newTenant("evil")
	var k struct{ Key string }
	h.call(acme, http.MethodPost, "/api/v1/keys", map[string]any{"name": "limited", "scopes": []string{"admin"},
		"instanceIds": []string{second.ids["instance"]}}).data(t, &k)
	outsiders := []outsider{
		{name: "another tenant", key: evil, own: h.world("evil", evil, "evilword")},
		{name: "the operator", key: adminKey, own: h.world("default", adminKey, "operatorword")},
		{name: "another instance's key", key: k.Key, own: second, limited: true},
	}
	ops := operations(t, h)
	var missing []string
	for _, op := range ops {
		if _, ok := tenancyCases[op.id]; !ok {
			missing = append(missing, op.id)
		}
	}
	require.Empty(t, missing, "operations without an entry in tenancyCases: say what their ids name")
	victim.isReal(ops)
	before := h.rows("acme", victim.ids["instance"])
	for _, who := range outsiders {
		for _, op := range ops {
			if c := tenancyCases[op.id]; !c.endless {
				who.tries(t, h, op, c, victim)
			}
		}
	}
	require.Equal(t, before, h.rows("acme", victim.ids["instance"]), "nothing of the victim has changed")
}

// isReal makes sure that the world's objects are there and of the right kind:
// their owner reads them.
func (w *world) isReal(ops []operation) {
	w.t.Helper()
	for _, op := range ops {
		c := tenancyCases[op.id]
		require.Len(w.t, c.path, strings.Count(op.path, "{"), "the path of %s", op.id)
		if op.method != http.MethodGet || c.endless {
			continue
		}
		if len(c.path) == 0 {
			continue
		}
		want := c.own
		if want == 0 {
			want = http.StatusOK
		}
		a := visit{op: op, path: c.path, at: -1}.make(w.hub, w.key, w.ids, "")
		require.Equal(w.t, want, a.status, "%s by its owner: %s", op.id, a.body)
	}
	for _, list := range []string{"instances", "messages", "chats", "persons", "events", "dead-letters", "keys"} {
		require.Contains(w.t, string(w.call(w.key, http.MethodGet, "/api/v1/"+list, nil).body), w.word, list)
	}
}

// tries every way to name something of the victim in one operation.
func (o outsider) tries(t *testing.T, h *hub, op operation, c tenancyCase, victim *world) {
	t.Helper()
	for _, place := range op.places {
		require.Contains(t, c.body+strings.Join(alternatives[op.id], ""), `"`+place+`":`, "the field %s of %s must be in its body", place, op.id)
	}
	for _, v := range c.visits(op) {
		if o.limited && v.field == "agent" {
			continue // agents are for all instances of their tenant
		}
		theirs := victim.ids[v.named()]
		require.NotEmpty(t, theirs, "%s: world.make makes no %s", op.id, v.named())
		unknown := uuid.NewString()
		got, nothing := v.make(h, o.key, o.own.ids, theirs), v.make(h, o.key, o.own.ids, unknown)
		where := o.name + ": " + op.method + " " + op.path + " with a foreign " + v.named() + " (" + v.query + ")"
		if o.limited && c.limited != 0 {
			require.Equal(t, c.limited, got.status, "%s: %s", where, got.body)
			continue
		}
		require.Equal(t, nothing.status, got.status, "%s: unlike an unknown one: %s", where, got.body)
		require.Equal(t, told(nothing, unknown), told(got, theirs), "%s: unlike an unknown one", where)
		require.NotContains(t, string(got.body), victim.word, where)
		switch {
		case v.at >= 0:
			require.Equal(t, http.StatusNotFound, got.status, "%s: %s", where, got.body)
		case v.query != "" || c.selects:
		default:
			require.Contains(t, []int{http.StatusNotFound, http.StatusUnprocessableEntity, http.StatusForbidden}, got.status, "%s: %s", where, got.body)
		}
	}
	if op.method == http.MethodGet && len(c.path) == 0 {
		a := h.call(o.key, op.method, op.path+"?limit=100", nil)
		require.Less(t, a.status, 500, "%s", a.body)
		require.NotContains(t, string(a.body), victim.word, "%s: %s", o.name, op.path)
		for kind, id := range victim.ids {
			require.NotContains(t, string(a.body), id, "%s: %s lists the victim's %s", o.name, op.path, kind)
		}
	}
}

// rows is everything that is stored of a tenant and an instance.
func (h *hub) rows(tenant, instance string) map[string][]string {
	h.t.Helper()
	type table struct {
		Name     string
		Instance bool
	}
	ctx := h.t.Context()
	found, err := h.store.Pool().Query(ctx, `SELECT c.table_name::text AS name,
			EXISTS (SELECT FROM information_schema.columns i WHERE i.table_schema = c.table_schema AND i.table_name = c.table_name
			        AND i.column_name = 'instance_id') AS instance
		FROM information_schema.columns c JOIN information_schema.tables t USING (table_schema, table_name)
		WHERE c.table_schema = 'public' AND c.column_name = 'tenant_id' AND t.table_type = 'BASE TABLE'
		  AND c.table_name NOT IN ('key_audit', 'api_keys', 'persons', 'idempotency_keys')`)
	require.NoError(h.t, err)
	tables, err := pgx.CollectRows(found, pgx.RowToStructByPos[table])
	require.NoError(h.t, err)
	require.Greater(h.t, len(tables), 5)
	out := map[string][]string{}
	for _, table := range tables {
		cond, args := "tenant_id = $1", []any{tenant}
		if table.Instance {
			cond, args = cond+" AND instance_id = $2", append(args, instance)
		} else if table.Name == "instances" {
			cond, args = cond+" AND id = $2", append(args, instance)
		}
		found, err := h.store.Pool().Query(ctx, "SELECT row_to_json(r)::text FROM "+pgx.Identifier{table.Name}.Sanitize()+" r WHERE "+cond+" ORDER BY 1", args...)
		require.NoError(h.t, err)
		out[table.Name], err = pgx.CollectRows(found, pgx.RowTo[string])
		require.NoError(h.t, err)
	}
	require.NotEmpty(h.t, out["instances"])
	return out
}

func TestRealIDsTellNothingWithoutAKeyOrScope(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	acme := h.newTenant("acme")
	w := h.world("acme", acme, "victimsword")
	var weak struct{ Key string }
	h.call(acme, http.MethodPost, "/api/v1/keys", map[string]any{"name": "weak", "scopes": []string{"webhooks:read"}}).data(t, &weak)
	before := h.rows("acme", w.ids["instance"])
	for _, op := range operations(t, h) {
		require.True(t, control.KnownScope(op.scope), "%s needs the scope %s, which no key can have", op.id, op.scope)
		c := tenancyCases[op.id]
		v := visit{op: op, path: c.path, body: c.body, at: -1}
		for key, status := range map[string]int{"": http.StatusUnauthorized, "wrong-" + acme: http.StatusUnauthorized, weak.Key: http.StatusForbidden} {
			a := v.make(h, key, w.ids, "")
			require.Equal(t, status, a.status, "%s: %s", op.id, a.body)
			require.NotContains(t, string(a.body), w.word)
		}
	}
	require.Equal(t, before, h.rows("acme", w.ids["instance"]))
}

// Whatever is reached without a key is on this list, and what is not in the
// OpenAPI document, too.
func TestEveryRouteIsDocumentedOrPublic(t *testing.T) {
	t.Parallel()
	h := newHub(t, func(d *api.Deps) { d.Metrics = http.NotFoundHandler() })
	documented := map[string]bool{}
	for _, op := range operations(t, h) {
		documented[op.method+" "+pathParam.ReplaceAllString(op.path, "*")] = true
	}
	public := []string{"/healthz", "/readyz", "/metrics", "/openapi.json", "/docs", "/schemas/*", "/api/v1/health", "/api/v2/health", "/",
		"/webhook/*/*", "/chat/*", "/chat/*/*"}
	wild := regexp.MustCompile(`[:*][A-Za-z]+`)
	for _, r := range h.svc.Handler().(interface{ Routes() gin.RoutesInfo }).Routes() {
		path := wild.ReplaceAllString(r.Path, "*")
		if documented[r.Method+" "+path] {
			require.NotContains(t, public, path)
			continue
		}
		require.Contains(t, public, path, "%s %s is neither in the OpenAPI document nor public", r.Method, r.Path)
	}
}

// ids are the fields of a schema that name objects, with those of the schemas
// it refers to.
func (d *document) ids(schema json.RawMessage, seen []string) []string {
	var s struct {
		Ref        string                     `json:"$ref"`
		Properties map[string]json.RawMessage `json:"properties"`
		Items      json.RawMessage            `json:"items"`
	}
	if len(schema) == 0 || json.Unmarshal(schema, &s) != nil {
		return nil
	}
	if name, ok := strings.CutPrefix(s.Ref, "#/components/schemas/"); ok {
		if slices.Contains(seen, name) {
			return nil
		}
		return d.ids(d.Components.Schemas[name], append(seen, name))
	}
	out := d.ids(s.Items, seen)
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		if isID(name) {
			out = append(out, name)
			continue
		}
		out = append(out, d.ids(s.Properties[name], seen)...)
	}
	return out
}

// isID knows the names of fields that hold our ids.
func isID(name string) bool {
	switch name {
	case "externalId", "platformUserId": // the platform's
		return false
	default:
		return name == "replyTo" || strings.HasSuffix(name, "Id") || strings.HasSuffix(name, "Ids")
	}
}
