package api_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"sort"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// operation is one entry of the OpenAPI document.
type operation struct {
	method, path, id, scope string
	hasBody                 bool
	query                   []string // parameters that name objects
	places                  []string // fields of the body that name objects
}

// document is what the tests read of the OpenAPI document.
type document struct {
	OpenAPI    string                                `json:"openapi"`
	Paths      map[string]map[string]json.RawMessage `json:"paths"`
	Components struct {
		Schemas map[string]json.RawMessage `json:"schemas"`
	} `json:"components"`
}

func (o operation) address(id string) string {
	return strings.NewReplacer("{id}", id).Replace(o.path)
}

// bodies are valid bodies of the operations that take one.
var bodies = map[string]string{
	"merge-persons":   `{"sourcePersonId":"` + unknownUUID + `","targetPersonId":"6f1c1de5-5d5c-4a0c-9d3c-0a8f3c9d2e11"}`,
	"link-identity":   `{"identityId":"` + unknownUUID + `","personId":"` + unknownUUID + `"}`,
	"unlink-identity": `{"identityId":"` + unknownUUID + `"}`,
	"create-instance": `{"name":"x","channel":"custom","channelConfig":{"secret":"` + hookSecret + `"}}`,
	"update-instance": `{"name":"y"}`,
	"send-message":    `{"instanceId":"` + unknownUUID + `","to":"c1","content":{"type":"text","text":"hi"}}`,
	"create-key":      `{"name":"k","scopes":["messages:read"]}`,
	"takeover-chat":   `{"untilSeconds":60}`,
	"update-person":   `{"displayName":"Ana"}`,

	"create-agent": `{"name":"a"}`,
	"update-agent": `{"name":"b"}`,
	"test-agent":   `{"text":"hi"}`,
	"create-route": `{"agentId":"` + unknownUUID + `","chatType":"group"}`,

	"resolve-delivery": `{"outcome":"sent"}`,
	"reply-to-turn":    `{"text":"hi"}`,

	"create-access-rule": `{"type":"deny","match":{"platformUserId":"u1"}}`,
	"update-access-rule": `{"priority":1}`,
	"check-access":       `{"instanceId":"` + unknownUUID + `","platformUserId":"u1"}`,
	"decide-pairing":     `{"code":"K7QM-2XPA"}`,

	"retry-dead-letters":   `{"cause":"transient"}`,
	"resolve-dead-letters": `{"cause":"transient"}`,
}

func operations(t *testing.T, h *hub) []operation {
	t.Helper()
	var doc document
	a := h.call("", http.MethodGet, "/openapi.json", nil)
	require.Equal(t, http.StatusOK, a.status)
	require.NoError(t, json.Unmarshal(a.body, &doc))
	require.True(t, strings.HasPrefix(doc.OpenAPI, "3.1"), doc.OpenAPI)
	var out []operation
	for path, item := range doc.Paths {
		for method, raw := range item {
			var op struct {
				ID    string `json:"operationId"`
				Scope string `json:"x-scope"`
				Body  *struct {
					Content map[string]struct {
						Schema json.RawMessage `json:"schema"`
					} `json:"content"`
				} `json:"requestBody"`
				Parameters []struct{ Name, In string } `json:"parameters"`
			}
			require.NoError(t, json.Unmarshal(raw, &op))
			require.NotContains(t, path, ":", path)
			require.NotEmpty(t, op.Scope, "%s %s says no scope", method, path)
			o := operation{method: strings.ToUpper(method), path: path, id: op.ID, scope: op.Scope, hasBody: op.Body != nil}
			for _, p := range op.Parameters {
				if p.In == "query" && isID(p.Name) {
					require.Contains(t, queryKinds, p.Name, "%s: what does %s name?", op.ID, p.Name)
					o.query = append(o.query, p.Name)
				}
			}
			if op.Body != nil {
				o.places = doc.ids(op.Body.Content["application/json"].Schema, nil)
			}
			out = append(out, o)
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].path+out[i].method < out[j].path+out[j].method })
	require.Greater(t, len(out), 20)
	return out
}

func (o operation) body() any {
	if b, ok := bodies[o.id]; ok {
		return b
	}
	return nil
}

func TestEveryOperationAsksForAKeyAndItsScope(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	weak := h.key("webhooks:read")
	for _, op := range operations(t, h) {
		t.Run(op.method+" "+op.path, func(t *testing.T) {
			t.Parallel()
			a := h.call("", op.method, op.address(unknownUUID), op.body())
			require.Equal(t, http.StatusUnauthorized, a.status, "%s", a.body)
			require.Equal(t, "unauthorized", a.code(t))
			require.NotEmpty(t, a.header.Get("WWW-Authenticate"))

			a = h.call("wrong-"+adminKey, op.method, op.address(unknownUUID), "{not json")
			require.Equal(t, http.StatusUnauthorized, a.status, "the key is checked before anything else")

			a = h.call(weak, op.method, op.address(unknownUUID), op.body())
			require.Equal(t, http.StatusForbidden, a.status, "%s", a.body)
			require.Equal(t, "insufficient_scope", a.code(t))
		})
	}
}

func TestEveryOperationOnAnUnknownIDIs404(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	for _, op := range operations(t, h) {
		if !strings.Contains(op.path, "{id}") {
			continue
		}
		for _, id := range []string{unknownUUID, "no-uuid-at-all", "00000000-0000-0000-0000-000000000000"} {
			a := h.admin(op.method, op.address(id), op.body())
			require.Equal(t, http.StatusNotFound, a.status, "%s %s with %s: %s", op.method, op.path, id, a.body)
			require.Equal(t, "not_found", a.code(t))
		}
	}
	a := h.admin(http.MethodPost, "/api/v1/messages", bodies["send-message"])
	require.Equal(t, http.StatusNotFound, a.status, "%s", a.body)
}

func TestEveryBodyThatIsNoJSONIs400(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	id := h.instance()
	n := 0
	for _, op := range operations(t, h) {
		if !op.hasBody {
			continue
		}
		n++
		for _, bad := range []string{`{"name":`, `not json`, ``} {
			if bad == "" && op.id == "takeover-chat" {
				continue // may come without a body
			}
			a := h.admin(op.method, op.address(id.String()), bad)
			require.Equal(t, http.StatusBadRequest, a.status, "%s %s with %q: %s", op.method, op.path, bad, a.body)
			require.Equal(t, "malformed_body", a.code(t))
		}
		a := h.admin(op.method, op.address(id.String()), `{"nonsense":1}`)
		require.Equal(t, http.StatusUnprocessableEntity, a.status, "%s", a.body)
		require.Contains(t, a.fields(t), "nonsense")
	}
	require.Equal(t, len(bodies), n, "a body for every operation that takes one")
}

func TestUnknownRoutes(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	for _, path := range []string{"/api/v1/nothing", "/api/v1/messages/", "/api", "/api/v1/messages/" + unknownUUID + "/nothing"} {
		require.Equal(t, http.StatusUnauthorized, h.call("", http.MethodGet, path, nil).status, path)
		a := h.admin(http.MethodGet, path, nil)
		require.Equal(t, http.StatusNotFound, a.status, path)
		require.Equal(t, "not_found", a.code(t))
	}
	a := h.admin(http.MethodPut, "/api/v1/messages", "{}")
	require.Equal(t, http.StatusMethodNotAllowed, a.status)
	require.Equal(t, "method_not_allowed", a.code(t))
	require.Equal(t, http.StatusNotFound, h.call("", http.MethodGet, "/nothing", nil).status)
}

func TestHeadIsGetWithoutTheBody(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	id := h.instance().String()
	for _, path := range []string{"/healthz", "/readyz", "/openapi.json", "/docs", "/api/v1/instances", "/api/v1/instances/" + id} {
		got, head := h.admin(http.MethodGet, path, nil), h.admin(http.MethodHead, path, nil)
		require.Equal(t, http.StatusOK, head.status, path)
		require.Empty(t, head.body, path)
		require.Equal(t, got.header.Get("Content-Type"), head.header.Get("Content-Type"), path)
	}
	require.Equal(t, http.StatusUnauthorized, h.call("", http.MethodHead, "/api/v1/instances", nil).status)
	require.Equal(t, http.StatusNotFound, h.admin(http.MethodHead, "/api/v1/instances/"+unknownUUID, nil).status)
	for _, endless := range []string{"/api/v1/events/stream", "/ws/events"} {
		require.Equal(t, http.StatusMethodNotAllowed, h.admin(http.MethodHead, endless, nil).status, endless)
	}
}

// Every list has the same form, so that one loop reads any of them.
func TestListsSayWhetherThereIsMore(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	var person struct{ PersonID string }
	h.admin(http.MethodGet, "/api/v1/messages/"+h.received(h.instance(), "c1", "m1", "hi").String(), nil).data(t, &person)
	paths := []string{"/api/v1/persons/" + person.PersonID + "/identities"}
	for _, op := range operations(t, h) {
		if op.method == http.MethodGet && !strings.ContainsAny(op.path, "{") && op.id != "stream-events" && op.id != "follow-events" {
			paths = append(paths, op.path)
		}
	}
	require.Greater(t, len(paths), 10)
	for _, path := range paths {
		a := h.admin(http.MethodGet, path, nil)
		require.Equal(t, http.StatusOK, a.status, "%s: %s", path, a.body)
		require.Regexp(t, `^\{"data":\[.*\],"meta":\{"nextCursor":(null|"[^"]+")\}\}`, string(a.body), path)
	}
}

// A client that writes its whole body before it reads must hear the refusal.
func TestABodyThatIsTooLargeIsAnswered(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	body := `{"instanceId":"` + h.instance().String() + `","to":"c","content":{"type":"text","text":"` + strings.Repeat("x", 12<<20) + `"}}`
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", h.server.Listener.Addr().String())
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	_, err = io.WriteString(conn, "POST /api/v1/messages HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer "+adminKey+
		"\r\nContent-Type: application/json\r\nContent-Length: "+strconv.Itoa(len(body))+"\r\n\r\n"+body)
	require.NoError(t, err)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	require.Equal(t, http.StatusRequestEntityTooLarge, resp.StatusCode)
}

func TestPublicRoutes(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	for path, status := range map[string]int{"/healthz": 200, "/readyz": 200, "/openapi.json": 200, "/docs": 200,
		"/api/v1/health": 200, "/api/v2/health": 200, "/": 302, "/schemas/Message.json": 200} {
		a := h.call("", http.MethodGet, path, nil)
		require.Equal(t, status, a.status, "%s: %s", path, a.body)
		require.Equal(t, "nosniff", a.header.Get("X-Content-Type-Options"))
		require.NotEmpty(t, a.header.Get("X-Request-ID"))
	}
	docs := string(h.call("", http.MethodGet, "/docs", nil).body)
	require.NotContains(t, docs, "https://", "the page loads nothing from elsewhere")
	require.Contains(t, docs, "/openapi.json")
}

func TestTheKeyMayComeInEitherHeader(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	require.Equal(t, 200, h.call("", http.MethodGet, "/api/v1/instances", nil, "x-api-key", adminKey).status)
	require.Equal(t, 200, h.call("", http.MethodGet, "/api/v1/instances", nil, "Authorization", "bearer "+adminKey).status)
	require.Equal(t, 401, h.call("", http.MethodGet, "/api/v1/instances", nil, "Authorization", "Basic "+adminKey).status)
	require.Equal(t, 401, h.call("", http.MethodGet, "/api/v1/instances?api_key="+adminKey, nil).status)
}

func TestWhatCurlSendsIsJSON(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	a := h.admin(http.MethodPost, "/api/v1/keys", bodies["create-key"], "Content-Type", "application/x-www-form-urlencoded", "Accept", "*/*")
	require.Equal(t, http.StatusCreated, a.status, "%s", a.body)
	require.Equal(t, "application/json", a.header.Get("Content-Type"))
	a = h.admin(http.MethodGet, "/api/v1/keys", nil, "Accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8")
	require.Equal(t, "application/json", a.header.Get("Content-Type"))
	a = h.admin(http.MethodPost, "/api/v1/keys", bodies["create-key"], "Content-Type", "application/xml")
	require.Equal(t, http.StatusUnsupportedMediaType, a.status)
	require.Equal(t, http.StatusOK, h.call("", http.MethodHead, "/readyz", nil).status)
}

// The document stands by itself: every reference leads somewhere, every
// parameter of a path is described, every operation has a name of its own.
func TestTheOpenAPIDocumentIsWhole(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	var doc map[string]any
	require.NoError(t, json.Unmarshal(h.call("", http.MethodGet, "/openapi.json", nil).body, &doc))
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case map[string]any:
			if ref, ok := v["$ref"].(string); ok {
				var at any = doc
				for key := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
					at = at.(map[string]any)[key]
				}
				require.NotNil(t, at, "%s leads to %s", path, ref)
			}
			for k, sub := range v {
				walk(path+"/"+k, sub)
			}
		case []any:
			for _, sub := range v {
				walk(path+"/[]", sub)
			}
		}
	}
	walk("", doc)
	seen := map[string]bool{}
	for path, item := range doc["paths"].(map[string]any) {
		for method, raw := range item.(map[string]any) {
			op := raw.(map[string]any)
			id := op["operationId"].(string)
			require.False(t, seen[id], id)
			seen[id] = true
			require.NotEmpty(t, op["summary"], "%s %s", method, path)
			require.NotEmpty(t, op["responses"], "%s %s", method, path)
			var described []string
			params, _ := op["parameters"].([]any)
			for _, p := range params {
				if p := p.(map[string]any); p["in"] == "path" {
					require.Equal(t, true, p["required"])
					described = append(described, "{"+p["name"].(string)+"}")
				}
			}
			require.Len(t, described, strings.Count(path, "{"), "%s %s", method, path)
			for _, d := range described {
				require.Contains(t, path, d)
			}
		}
	}
	schemas := doc["components"].(map[string]any)["schemas"].(map[string]any)
	for _, name := range []string{"Message", "Chat", "Person", "Instance", "InstanceInput", "Problem", "SendRequest", "Trace"} {
		require.Contains(t, schemas, name)
	}
}
