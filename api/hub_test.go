package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"

	"github.com/omnihub/omni/activities"
	"github.com/omnihub/omni/api"
	"github.com/omnihub/omni/channels"
	_ "github.com/omnihub/omni/channels/custom"
	"github.com/omnihub/omni/channels/message"
	_ "github.com/omnihub/omni/channels/telegram"
	"github.com/omnihub/omni/internal/blob"
	"github.com/omnihub/omni/internal/control"
	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/secret"
	"github.com/omnihub/omni/internal/store"
	"github.com/omnihub/omni/internal/testkit"
	"github.com/omnihub/omni/workflows"
)

const (
	adminKey    = "test-key-of-an-admin"
	hookSecret  = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	temporalUI  = "http://temporal.test"
	unknownUUID = "0190b9a0-0000-7000-8000-000000000000"
)

// hub is an API on a real Postgres; only engine, gateways and Temporal are
// stand-ins.
type hub struct {
	t      *testing.T
	store  *store.Store
	engine *engine
	bus    *announcer
	hooks  *hooksFake
	caller *agentCaller
	svc    *api.Service
	server *httptest.Server
	checks []control.Check
	blobs  *blob.Files

	control *control.Control

	written func() // says that the log has grown; nil: it is not said
}

type engine struct {
	mu      sync.Mutex
	fail    error
	started []workflows.OutboundInput
	delays  []time.Duration
	ended   []uuid.UUID
	turns   []activities.TurnRef
	retried []string // workflows
}

func (e *engine) StartOutbound(_ context.Context, in workflows.OutboundInput, delay time.Duration) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.fail != nil {
		return e.fail
	}
	e.started, e.delays = append(e.started, in), append(e.delays, delay)
	return nil
}

func (e *engine) CancelOutbound(_ context.Context, _ string, id uuid.UUID) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.ended = append(e.ended, id)
	return nil
}

func (e *engine) StartTurn(_ context.Context, t activities.TurnRef) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.fail != nil {
		return e.fail
	}
	e.turns = append(e.turns, t)
	return nil
}

func (e *engine) RetryOutbound(_ context.Context, in workflows.OutboundInput, letter uuid.UUID) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.fail != nil {
		return e.fail
	}
	e.retried = append(e.retried, workflows.OutboundRetryWorkflowID(in.TenantID, in.MessageID, letter))
	return nil
}

func (e *engine) Describe(_ context.Context, id string) (string, enumspb.WorkflowExecutionStatus, error) {
	return "run-of-" + id[:3], enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED, nil
}

func (e *engine) starts() []workflows.OutboundInput {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]workflows.OutboundInput(nil), e.started...)
}

type announcer struct {
	mu        sync.Mutex
	changed   []uuid.UUID
	restarted []uuid.UUID
	cancelled []uuid.UUID
	published []string // events, again
}

func (a *announcer) Announce(_ context.Context, id uuid.UUID) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.changed = append(a.changed, id)
	return nil
}

func (a *announcer) RequestRestart(_ context.Context, id uuid.UUID) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.restarted = append(a.restarted, id)
	return nil
}

func (a *announcer) PublishCancel(_ context.Context, turn uuid.UUID) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.cancelled = append(a.cancelled, turn)
	return nil
}

func (a *announcer) RepublishInbound(_ context.Context, subject string, payload []byte, key string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.published = append(a.published, subject+" "+key+" "+string(payload))
	return nil
}

type hooksFake struct {
	mu   sync.Mutex
	last channels.WebhookRequest
	resp channels.WebhookResponse
	err  error
	page http.Handler

	unknown error // what Find answers
}

func (h *hooksFake) Find(context.Context, string, string) error { return h.unknown }

func (h *hooksFake) Webhook(_ context.Context, _, _ string, req channels.WebhookRequest) (channels.WebhookResponse, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last = req
	return h.resp, h.err
}

func (h *hooksFake) Page(string) (http.Handler, error) {
	if h.page == nil {
		return nil, omni.ErrNotFound
	}
	return h.page, nil
}

func newHub(t *testing.T, change ...func(*api.Deps)) *hub {
	t.Helper()
	return newHubWith(t, func(*control.Deps) {}, change...)
}

func newHubWith(t *testing.T, use func(*control.Deps), change ...func(*api.Deps)) *hub {
	t.Helper()
	st, err := store.Open(t.Context(), testkit.Postgres(t), 12)
	require.NoError(t, err)
	t.Cleanup(st.Close)
	box, err := secret.New(secret.GenerateKey())
	require.NoError(t, err)
	st.UseSecrets(box)
	h := &hub{t: t, store: st, engine: &engine{}, bus: &announcer{}, hooks: &hooksFake{}, caller: &agentCaller{},
		blobs: blob.New(t.TempDir())}
	log := slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelWarn}))
	h.checks = []control.Check{{Name: "postgres", Func: st.Ping}}
	uses := control.Deps{Store: st, Engine: h.engine, Workflows: h.engine, Announcer: h.bus, Inbound: h.bus, Agents: h.caller, Log: log,
		APIKey: adminKey, UI: control.TemporalUI{URL: temporalUI, Namespace: "default"}, Checks: h.checks}
	uses.Blobs = h.blobs
	use(&uses)
	h.control = control.New(uses)
	deps := api.Deps{Addr: "127.0.0.1:0", Version: "test", Log: log, Hooks: h.hooks, Events: st, Rate: -1, Control: h.control}
	for _, f := range change {
		f(&deps)
	}
	h.svc, err = api.New(deps)
	require.NoError(t, err)
	h.server = httptest.NewServer(h.svc.Handler())
	t.Cleanup(h.server.Close)
	return h
}

// twin is another process's API on the same database.
func (h *hub) twin() *hub {
	h.t.Helper()
	log := slog.New(slog.DiscardHandler)
	other := &hub{t: h.t, store: h.store, engine: h.engine, bus: h.bus, hooks: h.hooks}
	other.control = control.New(control.Deps{Store: h.store, Engine: h.engine, Announcer: h.bus, Inbound: h.bus, Log: log, APIKey: adminKey})
	var err error
	other.svc, err = api.New(api.Deps{Addr: "127.0.0.1:0", Version: "test", Log: log, Hooks: h.hooks, Events: h.store, Rate: -1, Control: other.control})
	require.NoError(h.t, err)
	other.server = httptest.NewServer(other.svc.Handler())
	h.t.Cleanup(other.server.Close)
	return other
}

// testWriter brings the log to the test's own.
type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Log(string(bytes.TrimSpace(p)))
	return len(p), nil
}

// answer is a response, read.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// data decodes the body's data into v.
func (a *answer) data(t *testing.T, v any) {
	t.Helper()
	var env struct {
		Data json.RawMessage `json:"data"`
	}
	require.NoError(t, json.Unmarshal(a.body, &env), "%s", a.body)
	require.NoError(t, json.Unmarshal(env.Data, v), "%s", a.body)
}

func (a *answer) code(t *testing.T) string {
	t.Helper()
	require.Contains(t, a.header.Get("Content-Type"), "application/problem+json", "%s", a.body)
	var p struct {
		Code      string `json:"code"`
		RequestID string `json:"requestId"`
	}
	require.NoError(t, json.Unmarshal(a.body, &p), "%s", a.body)
	require.NotEmpty(t, p.RequestID)
	return p.Code
}

func (a *answer) fields(t *testing.T) []string {
	t.Helper()
	var p struct {
		Errors []control.Field `json:"errors"`
	}
	require.NoError(t, json.Unmarshal(a.body, &p), "%s", a.body)
	var out []string
	for _, f := range p.Errors {
		out = append(out, f.Field)
	}
	return out
}

// call makes a request with a key ("" for none). body is JSON as text, or
// anything to be encoded, or nil.
func (h *hub) call(key, method, path string, body any, header ...string) *answer {
	h.t.Helper()
	var r io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		r = bytes.NewReader([]byte(b))
	default:
		enc, err := json.Marshal(b)
		require.NoError(h.t, err)
		r = bytes.NewReader(enc)
	}
	req, err := http.NewRequestWithContext(h.t.Context(), method, h.server.URL+path, r)
	require.NoError(h.t, err)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	require.NoError(h.t, err)
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	require.NoError(h.t, err)
	return &answer{status: resp.StatusCode, header: resp.Header, body: b}
}

func (h *hub) admin(method, path string, body any, header ...string) *answer {
	h.t.Helper()
	return h.call(adminKey, method, path, body, header...)
}

// key makes a key with scopes.
func (h *hub) key(scopes ...string) string {
	h.t.Helper()
	a := h.admin(http.MethodPost, "/api/v1/keys", map[string]any{"name": "test", "scopes": scopes})
	require.Equal(h.t, http.StatusCreated, a.status, "%s", a.body)
	var k struct{ Key string }
	a.data(h.t, &k)
	return k.Key
}

// instance makes an instance of the custom channel.
func (h *hub) instance(extra ...string) uuid.UUID {
	h.t.Helper()
	body := map[string]any{"name": "support", "channel": "custom", "channelConfig": map[string]any{"secret": hookSecret}}
	for _, e := range extra {
		require.NoError(h.t, json.Unmarshal([]byte(e), &body))
	}
	a := h.admin(http.MethodPost, "/api/v1/instances", body)
	require.Equal(h.t, http.StatusCreated, a.status, "%s", a.body)
	var in struct{ ID uuid.UUID }
	a.data(h.t, &in)
	return in.ID
}

// received records an inbound message, as the recorder does.
func (h *hub) received(instance uuid.UUID, chat, id, text string) uuid.UUID {
	h.t.Helper()
	in := message.Inbound{ID: id, Kind: message.KindMessage, Timestamp: time.Now().UTC(),
		Chat: message.Chat{ID: chat, Type: message.ChatDM}, Sender: message.Sender{ID: "user-" + chat, Name: "Ana " + chat},
		Content: message.Content{Type: message.TypeText, Text: text}}
	env := omni.Envelope{TenantID: omni.DefaultTenant, InstanceID: instance, Channel: "custom", ReceivedAt: time.Now().UTC(),
		Event: in}
	env.MessageID = omni.MessageID(instance, env.ExternalKey())
	require.NoError(h.t, h.store.Record(h.t.Context(), []omni.Envelope{env}, 0))
	return env.MessageID
}
