package provider_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/provider"
)

// peer is an A2A agent that answers each method as it is told.
type peer struct {
	*httptest.Server
	card    string                      // "": none
	answers map[string]func(int) string // the result, or "error …", by method and how often it was called
	mu      sync.Mutex
	calls   []string
	heads   []http.Header
}

func newPeer(t *testing.T, answers map[string]func(int) string) *peer {
	t.Helper()
	p := &peer{answers: answers}
	p.Server = httptest.NewServer(p)
	t.Cleanup(p.Close)
	return p
}

// ServeHTTP implements http.Handler.
func (p *peer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		if p.card == "" {
			http.NotFound(w, r)
			return
		}
		_, _ = io.WriteString(w, p.card)
		return
	}
	var call struct {
		ID     string
		Method string
		Params json.RawMessage
	}
	if err := json.NewDecoder(r.Body).Decode(&call); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	p.mu.Lock()
	n := 0
	for _, c := range p.calls {
		if c == r.URL.Path+" "+call.Method {
			n++
		}
	}
	p.calls, p.heads = append(p.calls, r.URL.Path+" "+call.Method), append(p.heads, r.Header.Clone())
	p.mu.Unlock()
	answer := p.answers[call.Method](n)
	w.Header().Set("Content-Type", "application/json")
	_, _ = fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%q,%s}`, call.ID, answer)
}

func task(state, more string) string {
	return `{"id":"t1","contextId":"chat:1","status":{"state":"TASK_STATE_` + state + `"}` + more + `}`
}

func one(answer string) func(int) string { return func(int) string { return answer } }

func (p *peer) ask(t *testing.T, change func(*omni.AgentRequest)) (omni.AgentReply, error) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(client.CloseIdleConnections)
	req := a2aProtocol(false).request(p.URL)
	if change != nil {
		change(&req)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	return provider.New(provider.Deps{HTTP: client}).Reply(ctx, req)
}

func TestA2ATasks(t *testing.T) {
	t.Parallel()
	artifact := `,"artifacts":[{"artifactId":"a","parts":[{"text":"Here"},{"text":"it is."}]}]`
	for name, tc := range map[string]struct {
		sent, got string
		want      string
		kind      omni.AgentErrorKind
	}{
		"done at once":   {sent: task("COMPLETED", artifact), want: "Here\n\nit is."},
		"done later":     {sent: task("SUBMITTED", ""), got: task("COMPLETED", artifact), want: "Here\n\nit is."},
		"its last words": {sent: `{"id":"t1","contextId":"c","status":{"state":"TASK_STATE_COMPLETED","message":{"messageId":"m","role":"ROLE_AGENT","parts":[{"text":"Done."}]}}}`, want: "Done."},
		"a question":     {sent: `{"id":"t1","contextId":"c","status":{"state":"TASK_STATE_INPUT_REQUIRED","message":{"messageId":"m","role":"ROLE_AGENT","parts":[{"text":"When?"}]}}}`, want: "When?"},
		"failed":         {sent: task("FAILED", ""), kind: omni.AgentTransient},
		"failed later":   {sent: task("WORKING", ""), got: task("FAILED", ""), kind: omni.AgentTransient},
		"rejected":       {sent: task("REJECTED", ""), kind: omni.AgentBadRequest},
		"needs a login":  {sent: task("AUTH_REQUIRED", ""), kind: omni.AgentBadCredentials},
		"nothing":        {sent: task("COMPLETED", ""), kind: omni.AgentEmpty},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPeer(t, map[string]func(int) string{
				"SendMessage": one(`"result":{"task":` + tc.sent + `}`),
				"GetTask": func(n int) string {
					if n == 0 {
						return `"result":` + task("WORKING", "")
					}
					return `"result":` + tc.got
				}})
			got, err := p.ask(t, nil)
			if tc.kind != "" {
				var e *omni.AgentError
				require.ErrorAs(t, err, &e)
				require.Equal(t, tc.kind, e.Kind, e.Reason)
				return
			}
			require.NoError(t, err)
			require.Equal(t, tc.want, got.Text)
			for _, h := range p.heads {
				require.Equal(t, "1.0", h.Get("A2A-Version"))
				require.Equal(t, "Bearer "+secretKey, h.Get("Authorization"))
			}
		})
	}
}

func TestA2AErrors(t *testing.T) {
	t.Parallel()
	for code, want := range map[int]omni.AgentErrorKind{-32603: omni.AgentTransient, -32000: omni.AgentTransient, -32601: omni.AgentBadRequest,
		-32602: omni.AgentBadRequest, -32005: omni.AgentBadRequest, -32009: omni.AgentBadRequest, -31401: omni.AgentBadCredentials} {
		p := newPeer(t, map[string]func(int) string{"SendMessage": one(fmt.Sprintf(`"error":{"code":%d,"message":"no, %s"}`, code, secretKey))})
		_, err := p.ask(t, nil)
		var e *omni.AgentError
		require.ErrorAs(t, err, &e)
		require.Equal(t, want, e.Kind, "%d: %s", code, e)
		require.Equal(t, "no, •••", e.Reason)
	}
}

// A task that nobody waits for any more is cancelled at the agent.
func TestA2ACancelsTheTask(t *testing.T) {
	t.Parallel()
	cancelled := make(chan struct{})
	polled := make(chan struct{}, 10)
	p := newPeer(t, map[string]func(int) string{
		"SendMessage": one(`"result":{"task":` + task("WORKING", "") + `}`),
		"GetTask":     func(int) string { polled <- struct{}{}; return `"result":` + task("WORKING", "") },
		"CancelTask":  func(int) string { close(cancelled); return `"result":` + task("CANCELED", "") },
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-polled; cancel() }()
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	_, err := provider.New(provider.Deps{HTTP: client}).Reply(ctx, a2aProtocol(false).request(p.URL))
	require.ErrorIs(t, err, context.Canceled)
	<-cancelled
}

func TestA2AFiles(t *testing.T) {
	t.Parallel()
	p := newPeer(t, map[string]func(int) string{"SendMessage": one(`"result":{"message":{"messageId":"m","role":"ROLE_AGENT","parts":[
		{"text":"Look:"},{"url":"https://e.com/p.png","mediaType":"image/png","filename":"p.png"},{"text":"and"},{"data":{"a":1}},{"raw":"aGk=","filename":"x.bin"}]}}`)})
	got, err := p.ask(t, nil)
	require.NoError(t, err)
	require.Equal(t, []message.Content{{Type: message.TypeText, Text: "Look:"},
		{Type: message.TypeImage, Media: []message.Media{{Type: message.TypeImage, URL: "https://e.com/p.png", MimeType: "image/png", Filename: "p.png"}}},
		{Type: message.TypeText, Text: "and\n\n```json\n{\"a\":1}\n```\n\n[file: x.bin]"}}, got.Parts)
	require.Empty(t, got.Text)
}

// The card says where the agent is reached; the key goes nowhere else than
// where it was given for.
func TestA2ACard(t *testing.T) {
	t.Parallel()
	hi := map[string]func(int) string{"SendMessage": one(`"result":{"message":{"messageId":"m","role":"ROLE_AGENT","parts":[{"text":"hi"}]}}`)}
	card := func(more, url, binding, version string) string {
		return fmt.Sprintf(`{"name":"x","description":"","version":"1","capabilities":{},"skills":[]%s,
			"supportedInterfaces":[{"url":%q,"protocolBinding":%q,"protocolVersion":%q}]}`, more, url, binding, version)
	}
	p := newPeer(t, hi)
	p.card = card(`,"securitySchemes":{"k":{"apiKeySecurityScheme":{"location":"header","name":"X-Agent-Key"}}}`, p.URL+"/rpc/v1", "JSONRPC", "1.0")
	got, err := p.ask(t, nil)
	require.NoError(t, err)
	require.Equal(t, "hi", got.Text)
	require.Equal(t, []string{"/rpc/v1 SendMessage"}, p.calls)
	require.Equal(t, secretKey, p.heads[0].Get("X-Agent-Key"))
	require.Empty(t, p.heads[0].Get("Authorization"))

	for name, c := range map[string]struct{ url, binding, version, says string }{
		"another version": {p.URL, "JSONRPC", "0.3", "version 1"},
		"another binding": {p.URL, "GRPC", "1.0", "version 1"},
		"another address": {"https://elsewhere.example/rpc", "JSONRPC", "1.0", "names another address"},
	} {
		q := newPeer(t, hi)
		q.card = card("", c.url, c.binding, c.version)
		_, err := q.ask(t, nil)
		var e *omni.AgentError
		require.ErrorAs(t, err, &e, name)
		require.Equal(t, omni.AgentBadRequest, e.Kind, name)
		require.Contains(t, e.Reason, c.says, name)
		require.Empty(t, q.calls, name)
	}
	q := newPeer(t, hi)
	q.card = card("", p.URL+"/rpc/v1", "JSONRPC", "1.0")
	_, err = q.ask(t, func(req *omni.AgentRequest) { req.APIKey = "" })
	require.NoError(t, err, "without a key the card may lead anywhere that may be called")
	require.Len(t, p.calls, 2)
}
