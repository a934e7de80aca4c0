package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/internal/testkit"

	"github.com/omnihub/omni/channels/custom/customtest"
)

func TestBadInput(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	l := h.newLine(nil)
	h.share(t, "webhooks", func(t *testing.T) { refusesWebhooks(t, l) })
	h.share(t, "keys", func(t *testing.T) { refusesKeys(t, h) })
	h.share(t, "an agent that cannot be reached", func(t *testing.T) { fallsBack(t, h) })
	h.share(t, "configuration", func(t *testing.T) { refusesToStart(t, h) })
}

// problem is a refusal as RFC 9457 has it.
type problem struct {
	Code, Detail string
	Errors       []struct{ Field, Message string }
}

// refusesWebhooks sends what must not be stored, then one good message.
func refusesWebhooks(t *testing.T, l *line) {
	good, err := json.Marshal(customtest.Text("bad-1", "c1", "u1", "hello"))
	require.NoError(t, err)
	now, other := time.Now(), customtest.NewSecret()
	unsigned := http.Header{"Content-Type": {"application/json"}}
	signed := func(body string) http.Header { return customtest.Header(l.Secret, "wh-1", now, []byte(body)) }
	for name, bad := range map[string]struct {
		header http.Header
		body   string
		status int
		field  string
	}{
		"unsigned":          {unsigned, string(good), http.StatusUnauthorized, ""},
		"another secret":    {customtest.Header(other, "wh-1", now, good), string(good), http.StatusUnauthorized, ""},
		"another body":      {signed(string(good)), strings.Replace(string(good), "hello", "hell0", 1), http.StatusUnauthorized, ""},
		"ten minutes old":   {customtest.Header(l.Secret, "wh-1", now.Add(-10*time.Minute), good), string(good), http.StatusUnauthorized, ""},
		"no JSON":           {signed("{"), "{", http.StatusBadRequest, "body"},
		"no id":             {signed(`{"kind":"message"}`), `{"kind":"message"}`, http.StatusBadRequest, "id"},
		"no chat":           {signed(`{"id":"x","kind":"message"}`), `{"id":"x","kind":"message"}`, http.StatusBadRequest, "chat.id"},
		"an unknown kind":   {signed(`{"id":"x","kind":"song","chat":{"id":"c"}}`), `{"id":"x","kind":"song","chat":{"id":"c"}}`, http.StatusBadRequest, "kind"},
		"no sender":         {signed(`{"id":"x","kind":"message","chat":{"id":"c"}}`), `{"id":"x","kind":"message","chat":{"id":"c"}}`, http.StatusBadRequest, "sender.id"},
		"a number for text": {signed(`{"id":"x","content":{"text":1}}`), `{"id":"x","content":{"text":1}}`, http.StatusBadRequest, "content.text"},
	} {
		a, err := l.Post(t.Context(), bad.header, []byte(bad.body))
		require.NoError(t, err, name)
		require.Equal(t, bad.status, a.Status, "%s: %s", name, a.Body)
		var p problem
		require.NoError(t, json.Unmarshal(a.Body, &p), name)
		require.NotEmpty(t, p.Code, name)
		require.NotEmpty(t, p.Detail, name)
		if bad.field != "" {
			require.NotEmpty(t, p.Errors, "%s: %s", name, a.Body)
			require.Equal(t, bad.field, p.Errors[0].Field, name)
		}
	}
	for _, id := range []string{"00000000-0000-4000-8000-000000000000", "not-an-id"} {
		stranger := &customtest.Client{URL: l.hub.url("/webhook/custom/" + id), Secret: l.Secret}
		a, err := stranger.Post(t.Context(), signed(string(good)), good)
		require.NoError(t, err)
		require.Equal(t, http.StatusNotFound, a.Status, "%s: %s", id, a.Body)
	}
	// All that is acknowledged is in one log: behind this one nothing else is on its way.
	id := l.say("good-1", "c1", "hello")
	require.Equal(t, "answered", l.settled(20*time.Second, id)[id])
	var stored []struct{ ID string }
	l.hub.call(http.MethodGet, "/api/v1/messages?direction=inbound&instanceId="+l.id, nil, &stored)
	require.Len(t, stored, 1, "nothing that was refused is stored")
	var received []event
	l.hub.call(http.MethodGet, "/api/v1/events?type=message.received&instanceId="+l.id, nil, &received)
	require.Len(t, received, 1)
}

func refusesKeys(t *testing.T, h *hub) {
	for name, header := range map[string]http.Header{"none": {}, "wrong": {"Authorization": {"Bearer wrong-key-0123456789"}},
		"wrong x-api-key": {"X-Api-Key": {"wrong-key-0123456789"}}, "empty": {"Authorization": {"Bearer "}}} {
		for _, path := range []string{"/api/v1/instances", "/api/v1/messages/not-an-id", "/api/v1/events/stream", "/ws/events"} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.url(path), nil)
			require.NoError(t, err)
			req.Header = header
			resp, err := http.DefaultClient.Do(req)
			require.NoError(t, err)
			var p problem
			require.NoError(t, json.NewDecoder(resp.Body).Decode(&p))
			require.NoError(t, resp.Body.Close())
			require.Equal(t, http.StatusUnauthorized, resp.StatusCode, "%s key on %s", name, path)
			require.Equal(t, "application/problem+json", resp.Header.Get("Content-Type"))
		}
	}
}

// fallsBack points an instance at an agent that is not there.
func fallsBack(t *testing.T, h *hub) {
	agent := object{"provider": "openai", "apiUrl": fmt.Sprintf("http://127.0.0.1:%d/v1", testkit.FreePort(t)), "apiKey": "sk-secret-of-the-agent",
		"model": "m", "retryForSeconds": 2, "fallbackText": "Somebody will write to you."}
	l := h.newLine(object{"agent": agent})
	id := l.say("m1", "c1", "is anybody there?")
	require.Equal(t, []string{"Somebody will write to you."}, l.hears(30*time.Second, "c1", 1))
	l.settled(10*time.Second, id)
	var errs []struct {
		Type string
		Data json.RawMessage
	}
	h.call(http.MethodGet, "/api/v1/events?type=agent.error&correlationId="+id, nil, &errs)
	require.NotEmpty(t, errs)
	var trace struct {
		Steps []struct{ Name, Status, Error string }
	}
	h.call(http.MethodGet, "/api/v1/messages/"+id+"/trace", nil, &trace)
	failed := ""
	for _, s := range trace.Steps {
		if s.Name == "agent.Reply" && s.Status == "failed" {
			failed = s.Error
		}
	}
	require.NotEmpty(t, failed, "the trace shows why: %+v", trace.Steps)
	require.NotContains(t, failed, "sk-secret")
	var letters []struct{ Step, Error, Status string }
	h.call(http.MethodGet, "/api/v1/dead-letters?instanceId="+l.id, nil, &letters)
	require.Len(t, letters, 1)
	require.Equal(t, "agent.Reply", letters[0].Step)

	// The next message starts afresh.
	working := newLLM(t, func(*http.Request, []string) (int, string) { return http.StatusOK, "Here I am." })
	h.call(http.MethodPatch, "/api/v1/instances/"+l.id, object{"agent": object{"apiUrl": working.URL + "/v1"}}, nil)
	l.say("m2", "c1", "and now?")
	require.Equal(t, []string{"Somebody will write to you.", "Here I am."}, l.hears(20*time.Second, "c1", 2))
}

// refusesToStart runs hubs that cannot start beside one that runs.
func refusesToStart(t *testing.T, h *hub) {
	dir, err := os.MkdirTemp("", "omni-bad-")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	nobody := testkit.FreePort(t)
	for name, bad := range map[string]struct {
		env   []string
		names []string
	}{
		"port in use":                 {[]string{"OMNI_PORT=" + strconv.Itoa(h.port)}, []string{"OMNI_PORT", strconv.Itoa(h.port)}},
		"data directory is a file":    {[]string{"OMNI_DATA_DIR=" + file}, []string{file}},
		"data directory below a file": {[]string{"OMNI_DATA_DIR=" + filepath.Join(file, "data")}, []string{file}},
		"data directory in use":       {[]string{"OMNI_DATA_DIR=" + filepath.Join(h.dir, "data")}, []string{filepath.Join(h.dir, "data")}},
		"unknown variable":            {[]string{"OMNI_PROT=1"}, []string{"OMNI_PROT", "OMNI_PORT"}},
		"short key":                   {[]string{"OMNI_API_KEY=short"}, []string{"OMNI_API_KEY"}},
		"unreachable database": {[]string{fmt.Sprintf("DATABASE_URL=postgres://omni:hunter2@127.0.0.1:%d/omni?sslmode=disable", nobody)},
			[]string{"DATABASE_URL", strconv.Itoa(nobody)}},
		"unreachable NATS": {[]string{fmt.Sprintf("NATS_URL=nats://omni:hunter2@127.0.0.1:%d", nobody)},
			[]string{"NATS_URL", strconv.Itoa(nobody)}},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), binary, "up")
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "OMNI_DATA_DIR="+filepath.Join(dir, "data"), "OMNI_PORT="+strconv.Itoa(testkit.FreePort(t)),
				"OMNI_TEMPORAL_UI_PORT="+strconv.Itoa(testkit.FreePort(t)), "OMNI_API_KEY="+apiKey)
			cmd.Env = append(cmd.Env, bad.env...)
			var stdout, stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			err := cmd.Run()
			var exit *exec.ExitError
			require.ErrorAs(t, err, &exit, stdout.String())
			require.Equal(t, 1, exit.ExitCode(), stderr.String())
			require.Empty(t, stdout.String())
			text := strings.TrimSuffix(stderr.String(), "\n")
			require.NotContains(t, text, "\n", "one line")
			require.NotContains(t, text, "hunter2")
			for _, name := range bad.names {
				require.Contains(t, text, name)
			}
			t.Log(text)
		})
	}
}
