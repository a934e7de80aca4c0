package api_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/api"
	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/internal/control"
	"github.com/omnihub/omni/internal/omni"
)

func TestWebhooksAreHandedOnRaw(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	h.hooks.resp = channels.WebhookResponse{Status: http.StatusAccepted, Body: []byte(`{"data":{"id":"x","duplicate":false}}`)}
	raw := "{ \"any\" : \xff bytes }"
	a := h.call("", http.MethodPost, "/webhook/custom/"+unknownUUID+"?hub.mode=x", raw, "webhook-id", "m1")
	require.Equal(t, http.StatusAccepted, a.status)
	require.Equal(t, "application/json", a.header.Get("Content-Type"))
	require.Equal(t, raw, string(h.hooks.last.Body), "not touched")
	require.Equal(t, "m1", h.hooks.last.Header.Get("Webhook-Id"))
	require.Equal(t, []string{"x"}, h.hooks.last.Query["hub.mode"])
	require.False(t, h.hooks.last.Now.IsZero())

	h.hooks.resp = channels.WebhookResponse{ContentType: "text/plain", Body: []byte("challenge")}
	a = h.call("", http.MethodGet, "/webhook/whatsapp-cloud/"+unknownUUID, nil)
	require.Equal(t, http.StatusOK, a.status)
	require.Equal(t, "challenge", string(a.body))
}

func TestWebhookRefusals(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	for _, tc := range []struct {
		err    error
		status int
		code   string
	}{
		{omni.ErrNotFound, 404, "not_found"},
		{&channels.WebhookError{Status: 401, Code: "bad_signature", Detail: "the signature does not match"}, 401, "bad_signature"},
		{&channels.WebhookError{Status: 400, Code: "invalid_event", Field: "chat.id", Detail: "is required"}, 400, "invalid_event"},
		{errors.New("nats: no responders with password=hunter2"), 503, "unavailable"},
	} {
		h.hooks.err = tc.err
		a := h.call("", http.MethodPost, "/webhook/custom/"+unknownUUID, "{}")
		require.Equal(t, tc.status, a.status)
		require.Equal(t, tc.code, a.code(t))
		require.NotContains(t, string(a.body), "hunter2")
		if tc.status == 400 {
			require.Equal(t, []string{"chat.id"}, a.fields(t))
		}
		if tc.status == 503 {
			require.Equal(t, "1", a.header.Get("Retry-After"))
		}
	}
}

func TestWebhookSizeIsLimited(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	big := bytes.Repeat([]byte("x"), 12<<20)
	require.Equal(t, http.StatusOK, h.call("", http.MethodPost, "/webhook/custom/x", string(big)).status)
	require.Len(t, h.hooks.last.Body, 12<<20)
	a := h.call("", http.MethodPost, "/webhook/custom/x", string(append(big, 'x')))
	require.Equal(t, http.StatusRequestEntityTooLarge, a.status)
	// Without a length it is found out while reading.
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.server.URL+"/webhook/custom/x",
		io.MultiReader(bytes.NewReader(big), strings.NewReader("more")))
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusRequestEntityTooLarge, resp.StatusCode)
}

func TestPages(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	require.Equal(t, http.StatusNotFound, h.call("", http.MethodGet, "/chat/"+unknownUUID, nil).status)
	h.hooks.page = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.URL.Path) })
	for path, want := range map[string]string{"": "/", "/": "/", "/app.js": "/app.js", "/ws/x": "/ws/x"} {
		a := h.call("", http.MethodGet, "/chat/"+unknownUUID+path, nil)
		require.Equal(t, http.StatusOK, a.status)
		require.Equal(t, want, string(a.body))
		require.Empty(t, a.header.Get("X-Frame-Options"), "a page may be framed")
	}
}

func TestReadinessNamesThePartThatIsDown(t *testing.T) {
	t.Parallel()
	h := newHub(t, func(d *api.Deps) {
		d.Control.Health = control.NewHealth([]control.Check{
			{Name: "postgres", Func: func(context.Context) error { return nil }},
			{Name: "nats", Func: func(context.Context) error { return errors.New("no servers available") }},
			{Name: "stuck", Func: func(c context.Context) error { <-c.Done(); return c.Err() }},
		})
	})
	for _, path := range []string{"/readyz", "/api/v1/health", "/api/v2/health"} {
		a := h.call("", http.MethodGet, path, nil)
		require.Equal(t, http.StatusServiceUnavailable, a.status)
		require.Contains(t, string(a.body), `"name":"nats","status":"down"`)
		require.Contains(t, string(a.body), `"name":"postgres","status":"up"`)
		require.Contains(t, string(a.body), `"name":"stuck","status":"down"`)
	}
	require.Equal(t, http.StatusOK, h.call("", http.MethodGet, "/healthz", nil).status)
}

func TestAStrangersBodyIsNotRead(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	h.hooks.unknown = omni.ErrNotFound
	body := &countedBody{left: 10 << 20}
	req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/webhook/custom/"+unknownUUID, body)
	w := httptest.NewRecorder()
	h.svc.Handler().ServeHTTP(w, req)
	require.Equal(t, http.StatusNotFound, w.Code)
	require.Equal(t, "close", w.Header().Get("Connection"))
	require.Zero(t, body.read)
}

// countedBody counts what is read of it.
type countedBody struct{ left, read int }

func (b *countedBody) Read(p []byte) (int, error) {
	n := min(len(p), b.left)
	b.left -= n
	b.read += n
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}
