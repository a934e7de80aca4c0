package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/activities"
	"github.com/omnihub/omni/api"
	_ "github.com/omnihub/omni/channels/custom"
	"github.com/omnihub/omni/internal/cli"
	"github.com/omnihub/omni/internal/control"
	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/provider"
	"github.com/omnihub/omni/internal/secret"
	"github.com/omnihub/omni/internal/store"
	"github.com/omnihub/omni/internal/testkit"
	"github.com/omnihub/omni/workflows"
)

const (
	cliKey    = "key-of-the-cli-tests"
	cliSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
)

type idleEngine struct{}

func (idleEngine) StartOutbound(context.Context, workflows.OutboundInput, time.Duration) error {
	return nil
}
func (idleEngine) CancelOutbound(context.Context, string, uuid.UUID) error { return nil }
func (idleEngine) StartTurn(context.Context, activities.TurnRef) error     { return nil }
func (idleEngine) RetryOutbound(context.Context, workflows.OutboundInput, uuid.UUID) error {
	return nil
}

// apiHub is an API to command: on a real Postgres, with nobody behind it.
type apiHub struct {
	t     *testing.T
	url   string
	store *store.Store
	dir   string
}

func newAPIHub(t *testing.T) *apiHub {
	t.Helper()
	st, err := store.Open(t.Context(), testkit.Postgres(t), 4)
	require.NoError(t, err)
	t.Cleanup(st.Close)
	box, err := secret.New(secret.GenerateKey())
	require.NoError(t, err)
	st.UseSecrets(box)
	log := slog.New(slog.DiscardHandler)
	svc, err := api.New(api.Deps{Addr: "127.0.0.1:0", Events: st, Log: log, Control: control.New(control.Deps{
		Store: st, Engine: idleEngine{}, Log: log, APIKey: cliKey, Agents: provider.New(provider.Deps{HTTP: http.DefaultClient}), Checks: []control.Check{{Name: "postgres", Func: st.Ping}}})})
	require.NoError(t, err)
	require.NoError(t, svc.Start(t.Context()))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		require.NoError(t, svc.Stop(ctx))
	})
	return &apiHub{t: t, url: "http://" + svc.Addr(), store: st, dir: t.TempDir()}
}

// run is one command line: its exit code and what it wrote.
func (h *apiHub) run(args ...string) (code int, stdout, stderr string) {
	h.t.Helper()
	return h.runWith(h.t.Context(), []string{"OMNI_API_URL=" + h.url, "OMNI_API_KEY=" + cliKey, "OMNI_DATA_DIR=" + h.dir}, "", args...)
}

func (h *apiHub) runWith(ctx context.Context, environ []string, stdin string, args ...string) (code int, stdout, stderr string) {
	h.t.Helper()
	var out, errs bytes.Buffer
	code = cli.Main(ctx, args, cli.Env{Stdin: strings.NewReader(stdin), Stdout: &out, Stderr: &errs, Environ: environ,
		DotEnv: filepath.Join(h.dir, "none.env")})
	return code, out.String(), errs.String()
}

// ok runs a command that must work, and decodes data of its JSON.
func (h *apiHub) ok(v any, args ...string) string {
	h.t.Helper()
	if v != nil {
		args = append(args, "--json")
	}
	code, out, errs := h.run(args...)
	require.Equal(h.t, 0, code, "%v: %s", args, errs)
	if v != nil {
		var env struct{ Data json.RawMessage }
		require.NoError(h.t, json.Unmarshal([]byte(out), &env), out)
		require.NoError(h.t, json.Unmarshal(env.Data, v), out)
	}
	return out
}

func TestTheAPIAsCommands(t *testing.T) {
	t.Parallel()
	h := newAPIHub(t)
	var in struct {
		ID        string
		Name      string
		Status    string
		Agent     map[string]any
		Messaging map[string]any
	}
	h.ok(&in, "instances", "create", "--channel", "custom", "--config", "secret="+cliSecret, "--agent", "openai",
		"--set", "agent.model=m1", "--set", "messaging.debounceMs=500")
	require.Equal(t, "custom", in.Name)
	require.Equal(t, "m1", in.Agent["model"])
	require.EqualValues(t, 500, in.Messaging["debounceMs"])

	h.ok(&in, "instances", "update", in.ID, "--name", "support", "--set", "messaging.debounceMs=null")
	require.Equal(t, "support", in.Name)
	require.EqualValues(t, 0, in.Messaging["debounceMs"])
	require.Contains(t, h.ok(nil, "instances", "list"), in.ID)
	require.Contains(t, h.ok(nil, "instances", "get", in.ID), "agent.model")
	for _, verb := range []string{"disconnect", "connect", "restart", "status"} {
		h.ok(&in, "instances", verb, in.ID)
	}
	require.Equal(t, "connecting", in.Status)
	require.Contains(t, h.ok(nil, "channels", "list"), "secret (required)")

	var msg struct{ ID, ChatID, Status string }
	h.ok(&msg, "messages", "send", "--instance", in.ID, "--to", "c1", "--text", "hello\nthere", "--idempotency-key", "k")
	require.Equal(t, "queued", msg.Status)
	require.Contains(t, h.ok(nil, "messages", "get", msg.ID), "hello there")
	require.Contains(t, h.ok(nil, "messages", "list", "--status", "queued", "--instance", in.ID), msg.ID)
	require.Contains(t, h.ok(nil, "messages", "trace", msg.ID), "message.sending")
	require.Contains(t, h.ok(nil, "chats", "list"), msg.ChatID)
	require.Contains(t, h.ok(nil, "chats", "get", msg.ChatID), "c1")
	require.Contains(t, h.ok(nil, "chats", "messages", msg.ChatID), msg.ID)
	require.Contains(t, h.ok(nil, "persons", "list"), "NAME")
	require.Contains(t, h.ok(nil, "dead-letters", "list"), "STEP")

	var events []struct{ ID, Type string }
	h.ok(&events, "events", "list", "--type", "message.*")
	require.Len(t, events, 1)
	require.Contains(t, h.ok(nil, "events", "get", events[0].ID), "message.sending")

	var chat struct {
		SessionEpoch int
		Paused       bool
	}
	h.ok(&chat, "chats", "reset", msg.ChatID)
	require.Equal(t, 1, chat.SessionEpoch)
	h.ok(&chat, "chats", "takeover", msg.ChatID)
	require.True(t, chat.Paused)
	h.ok(&chat, "chats", "resume", msg.ChatID)
	require.False(t, chat.Paused)
	at := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	h.ok(&msg, "messages", "send", "--instance", in.ID, "--to", "c1", "--text", "later", "--at", at)
	require.Equal(t, "scheduled", msg.Status)
	listed := h.ok(nil, "messages", "list", "--status", "scheduled")
	require.Contains(t, listed, msg.ID)
	require.Contains(t, h.ok(nil, "messages", "cancel", msg.ID), "Cancelled")
	require.NotContains(t, h.ok(nil, "messages", "list", "--status", "scheduled"), msg.ID)

	var agent, route struct{ ID string }
	h.ok(&agent, "agents", "create", "--name", "sales", "--provider", "openai", "--set", "model=m1")
	h.ok(nil, "agents", "update", agent.ID, "--set", "model=m2")
	require.Contains(t, h.ok(nil, "agents", "get", agent.ID), "m2")
	require.Contains(t, h.ok(nil, "agents", "list"), "sales")
	h.ok(&route, "routes", "create", in.ID, "--agent", agent.ID, "--chat-type", "group")
	require.Contains(t, h.ok(nil, "routes", "list", in.ID), route.ID)
	require.Contains(t, h.ok(nil, "routes", "explain", in.ID, "--chat-type", "group"), "sales")
	require.Contains(t, h.ok(nil, "routes", "delete", in.ID, route.ID), "Deleted")
	require.Contains(t, h.ok(nil, "agents", "delete", agent.ID), "Deleted")

	var key struct{ ID, Key string }
	h.ok(&key, "keys", "create", "--name", "crm", "--scope", "messages:read,chats:read")
	require.NotEmpty(t, key.Key)
	require.Contains(t, h.ok(nil, "keys", "list"), "messages:read, chats:read")
	require.Contains(t, h.ok(nil, "keys", "delete", key.ID), "Ended")
	require.Contains(t, h.ok(nil, "health"), "postgres")
	require.Contains(t, h.ok(nil, "instances", "delete", in.ID), "Deleted")
}

func TestCommandsReadAFile(t *testing.T) {
	t.Parallel()
	h := newAPIHub(t)
	body := `{"name":"from file","channelConfig":{"secret":"` + cliSecret + `"}}`
	environ := []string{"OMNI_API_URL=" + h.url, "OMNI_API_KEY=" + cliKey, "OMNI_DATA_DIR=" + h.dir}
	code, out, errs := h.runWith(t.Context(), environ, body, "instances", "create", "--channel", "custom", "--file", "-")
	require.Equal(t, 0, code, errs)
	require.Contains(t, out, "from file")
	require.NotContains(t, out, cliSecret)
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	h := newAPIHub(t)
	for _, tc := range []struct {
		code int
		says string
		args []string
	}{
		{1, "404 not_found", []string{"instances", "get", uuid.NewString()}},
		{1, "422 validation_failed: channel: must be one of", []string{"instances", "create", "--channel", "fax", "--name", "x"}},
		{1, "--text or --content is required", []string{"messages", "send", "--to", "x"}},
		{1, "401 unauthorized", []string{"instances", "list", "--key", "wrong"}},
		{1, "no hub answers at http://127.0.0.1:1", []string{"instances", "list", "--url", "http://127.0.0.1:1"}},
		{2, "--channel is required", []string{"instances", "create"}},
		{2, "arg", []string{"instances", "get"}},
		{2, "unknown", []string{"instances", "explode"}},
		{2, "unknown flag", []string{"instances", "list", "--colour"}},
	} {
		code, _, errs := h.run(tc.args...)
		require.Equal(t, tc.code, code, "%v: %s", tc.args, errs)
		require.Contains(t, errs, tc.says, "%v", tc.args)
	}
}

func TestTheKeptKeyIsFound(t *testing.T) {
	t.Parallel()
	h := newAPIHub(t)
	require.NoError(t, os.WriteFile(filepath.Join(h.dir, "api-key"), []byte(cliKey+"\n"), 0o600))
	code, _, errs := h.runWith(t.Context(), []string{"OMNI_API_URL=" + h.url, "OMNI_DATA_DIR=" + h.dir}, "", "instances", "list")
	require.Equal(t, 0, code, errs)
}

// lines is an output that can be watched.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func TestTailFollowsUntilInterrupted(t *testing.T) {
	t.Parallel()
	h := newAPIHub(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var out lines
	done := make(chan int, 1)
	go func() {
		done <- cli.Main(ctx, []string{"events", "tail", "--since", "0", "--type", "agent.*"}, cli.Env{Stdin: strings.NewReader(""),
			Stdout: &out, Stderr: &out, Environ: []string{"OMNI_API_URL=" + h.url, "OMNI_API_KEY=" + cliKey, "OMNI_DATA_DIR=" + h.dir}})
	}()
	require.NoError(t, h.store.AppendEvent(t.Context(), store.NewEvent{TenantID: omni.DefaultTenant,
		Type: omni.EventAgentError, InstanceID: uuid.New(), Channel: "custom", Data: map[string]any{"error": "the agent is\x1b[31m away"}}))
	require.Eventually(t, func() bool { return strings.Contains(out.String(), "agent.error") }, 10*time.Second, 20*time.Millisecond)
	require.Contains(t, out.String(), "the agent is")
	require.NotContains(t, out.String(), "\x1b", "nothing that people wrote steers the terminal")
	cancel()
	require.Equal(t, 0, <-done)
}

func TestForeignServersAreNamed(t *testing.T) {
	t.Parallel()
	h := newAPIHub(t)
	srv := httptest.NewServer(nil)
	defer srv.Close()
	code, _, errs := h.run("health", "--url", srv.URL)
	require.Equal(t, 1, code)
	require.Contains(t, errs, "does not answer like an Omni hub")
}

func TestMendingByCommand(t *testing.T) {
	t.Parallel()
	h := newAPIHub(t)
	bury := func() string {
		id := uuid.New()
		require.NoError(t, h.store.RecordPoison(t.Context(), store.Poison{ID: id, TenantID: omni.DefaultTenant, Attempts: 1,
			Error: "reading an inbound event: broken", Input: json.RawMessage(`{"subject":"channel.inbound.default.custom.x","payload":""}`)}, 0))
		return id.String()
	}
	first, second, third := bury(), bury(), bury()
	require.Contains(t, h.ok(nil, "dead-letters", "list", "--cause", "unreadable", "--status", "open"), first)
	var letter struct{ ID, Status, Cause string }
	h.ok(&letter, "dead-letters", "resolve", first)
	require.Equal(t, "resolved", letter.Status)
	var bulk struct {
		Count  int
		DryRun bool
	}
	h.ok(&bulk, "dead-letters", "retry", "--cause", "unreadable", "--dry-run")
	require.Equal(t, 2, bulk.Count)
	require.True(t, bulk.DryRun)
	h.ok(&letter, "dead-letters", "get", second)
	require.Equal(t, "open", letter.Status)
	h.ok(&bulk, "dead-letters", "resolve", "--step", "ingest.Record")
	require.Equal(t, 2, bulk.Count)
	h.ok(&letter, "dead-letters", "get", third)
	require.Equal(t, "resolved", letter.Status)

	code, _, errs := h.run("dead-letters", "retry", first)
	require.Equal(t, 1, code)
	require.Contains(t, errs, "it is resolved")
	for _, args := range [][]string{{}, {first, "--all"}, {first, second}} {
		code, _, _ = h.run(append([]string{"dead-letters", "retry"}, args...)...)
		require.Equal(t, 2, code, args)
	}
}

func TestResolvingADeliveryByCommand(t *testing.T) {
	t.Parallel()
	h := newAPIHub(t)
	var m struct{ ID, Status, ExternalID string }
	var in struct{ ID string }
	h.ok(&in, "instances", "create", "--name", "x", "--channel", "custom", "--set", "channelConfig.secret="+cliSecret)
	h.ok(&m, "messages", "send", "--instance", in.ID, "--to", "c1", "--text", "hi")
	_, err := h.store.Pool().Exec(t.Context(), `UPDATE messages SET status = 'unknown' WHERE id = $1`, m.ID)
	require.NoError(t, err)
	code, _, _ := h.run("messages", "resolve-delivery", m.ID)
	require.NotZero(t, code, "an outcome is needed")
	h.ok(&m, "messages", "resolve-delivery", m.ID, "--outcome", "sent", "--external-id", "p1")
	require.Equal(t, "sent", m.Status)
	require.Equal(t, "p1", m.ExternalID)
	code, _, errs := h.run("messages", "resolve-delivery", m.ID, "--outcome", "resend")
	require.Equal(t, 1, code)
	require.Contains(t, errs, "the message is sent")
}

func TestAccessByCommand(t *testing.T) {
	t.Parallel()
	h := newAPIHub(t)
	var in struct{ ID string }
	h.ok(&in, "instances", "create", "--channel", "custom", "--config", "secret="+cliSecret, "--set", "access.mode=blocklist")
	var rule struct {
		ID, Type, Notice string
		Match            map[string]any
		Priority         int
		RateLimit        map[string]any
	}
	h.ok(&rule, "access", "rules", "create", "--type", "deny", "--phone", "+5511*", "--notice", "Not from here.", "--instance", in.ID,
		"--priority", "3")
	require.Equal(t, "+5511*", rule.Match["phone"])
	require.Equal(t, 3, rule.Priority)
	require.Contains(t, h.ok(nil, "access", "rules", "list", "--type", "deny"), rule.ID)
	var check struct {
		Decision, RuleID, Reason string
		Considered               []struct{ Matched bool }
	}
	h.ok(&check, "access", "check", "--instance", in.ID, "--phone", "+5511987654321")
	require.Equal(t, "deny", check.Decision)
	require.Equal(t, rule.ID, check.RuleID)
	require.Len(t, check.Considered, 1)
	h.ok(&rule, "access", "rules", "update", rule.ID, "--set", `schedule={"days":["mon"]}`, "--set", "rateLimit.count=5",
		"--set", "rateLimit.perSeconds=60", "--user", "u*")
	require.EqualValues(t, 5, rule.RateLimit["count"])
	require.Equal(t, "u*", rule.Match["platformUserId"])
	require.Contains(t, h.ok(nil, "access", "rules", "get", rule.ID), "Not from here.")
	require.Contains(t, h.ok(nil, "access", "rules", "delete", rule.ID), "Deleted")
	require.Contains(t, h.ok(nil, "access", "pairings", "--status", "open"), "CODE")
	for _, tc := range []struct {
		code int
		says string
		args []string
	}{
		{1, "404 not_found", []string{"access", "approve", "K7QM-2XPA"}},
		{1, "404 not_found", []string{"access", "reject", "--id", uuid.NewString()}},
		{1, "match.phone", []string{"access", "rules", "create", "--type", "deny", "--phone", "nope"}},
		{2, "a code or --id", []string{"access", "approve"}},
		{2, "--instance is required", []string{"access", "check", "--phone", "+5511987654321"}},
	} {
		code, _, errs := h.run(tc.args...)
		require.Equal(t, tc.code, code, "%v: %s", tc.args, errs)
		require.Contains(t, errs, tc.says, "%v", tc.args)
	}
}
