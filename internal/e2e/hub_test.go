package e2e

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels/custom/customtest"
	"github.com/omnihub/omni/internal/e2e/hubtest"
	"github.com/omnihub/omni/internal/testkit"
)

const apiKey = "e2e-bootstrap-key-0123456789"

// hub is one data directory and, while it runs, the process that serves it.
type hub struct {
	t    *testing.T
	dir  string
	port int
	key  string   // of the API; "": the bootstrap key
	args []string // of the binary
	env  []string
	cmd  *exec.Cmd
	done chan error
	log  *os.File
}

// newHub prepares a data directory and starts the whole hub on it.
func newHub(t *testing.T, env ...string) *hub {
	t.Helper()
	h := prepareHub(t, env, "up")
	h.start()
	return h
}

// prepareHub makes a hub that has not started: its data directory, and how the
// binary will be run.
func prepareHub(t *testing.T, env []string, args ...string) *hub {
	t.Helper()
	// Postgres runs as another user than root and must be able to reach it.
	dir, err := os.MkdirTemp("", "omni-hub-")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o755)) //nolint:gosec // as said above
	log, err := os.Create(filepath.Join(dir, "hub.log"))
	require.NoError(t, err)
	h := &hub{t: t, dir: dir, port: testkit.FreePort(t), log: log, args: args, env: append([]string{
		"OMNI_API_KEY=" + apiKey, "OMNI_ALLOW_PRIVATE_NETWORKS=127.0.0.1",
		"OMNI_TEMPORAL_UI_PORT=" + strconv.Itoa(testkit.FreePort(t))}, env...)}
	t.Cleanup(h.cleanup)
	return h
}

// start runs the binary and waits until it is ready.
func (h *hub) start() {
	h.t.Helper()
	h.launch()
	h.waitReady(60 * time.Second)
}

func (h *hub) launch() {
	h.t.Helper()
	h.cmd = exec.Command(binary, h.args...)
	h.cmd.Dir = h.dir
	h.cmd.Env = append(os.Environ(), "OMNI_DATA_DIR="+filepath.Join(h.dir, "data"), "OMNI_PORT="+strconv.Itoa(h.port))
	h.cmd.Env = append(h.cmd.Env, h.env...)
	h.cmd.Stdout, h.cmd.Stderr = h.log, h.log
	require.NoError(h.t, h.cmd.Start())
	h.done = make(chan error, 1)
	go func(cmd *exec.Cmd, done chan<- error) { done <- cmd.Wait() }(h.cmd, h.done)
}

func (h *hub) waitReady(within time.Duration) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), within)
	defer cancel()
	for {
		if status, _ := h.get("/readyz"); status == http.StatusOK {
			return
		}
		select {
		case err := <-h.done:
			h.done <- err
			h.t.Fatalf("the hub ended while starting: %v\n%s", err, h.tail())
		case <-ctx.Done():
			_, body := h.get("/readyz")
			h.t.Fatalf("the hub is not ready after %s: %s\n%s", within, body, h.tail())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// kill is SIGKILL to the hub alone: its Postgres is orphaned.
func (h *hub) kill() {
	h.t.Helper()
	require.NoError(h.t, h.cmd.Process.Kill())
	<-h.done
	h.cmd = nil
}

// stop is SIGTERM; the hub must be gone within 15 seconds.
func (h *hub) stop() {
	h.t.Helper()
	require.NoError(h.t, h.cmd.Process.Signal(syscall.SIGTERM))
	select {
	case <-h.done:
		if code := h.cmd.ProcessState.ExitCode(); code != 0 {
			h.t.Errorf("the hub ended with code %d\n%s", code, h.tail())
		}
	case <-time.After(15 * time.Second):
		h.t.Errorf("the hub did not stop within 15 s\n%s", h.tail())
		_ = h.cmd.Process.Kill()
		<-h.done
	}
	h.cmd = nil
}

func (h *hub) cleanup() {
	if h.cmd != nil {
		h.stop()
	}
	h.killPostgres()
	if h.t.Failed() {
		h.t.Logf("the hub's log:\n%s", h.tail())
	}
	_ = h.log.Close()
	hubtest.NoRaces(h.t, h.log.Name())
	_ = os.RemoveAll(h.dir)
}

// postgresPID reads the pid of the data directory's Postgres, 0 if it has none.
func (h *hub) postgresPID() int {
	found, _ := filepath.Glob(filepath.Join(h.dir, "data", "postgres", "*", "postmaster.pid"))
	direct := filepath.Join(h.dir, "data", "postgres", "postmaster.pid")
	for _, path := range append(found, direct) {
		b, err := os.ReadFile(path) //nolint:gosec // a path of this test
		if err != nil {
			continue
		}
		pid, _, _ := strings.Cut(string(b), "\n")
		if n, err := strconv.Atoi(strings.TrimSpace(pid)); err == nil {
			return n
		}
	}
	return 0
}

func (h *hub) killPostgres() bool {
	pid := h.postgresPID()
	return pid > 0 && syscall.Kill(pid, syscall.SIGKILL) == nil
}

func (h *hub) tail() string {
	b, _ := os.ReadFile(h.log.Name())
	const limit = 12000
	if len(b) > limit {
		b = b[len(b)-limit:]
	}
	return string(b)
}

func (h *hub) url(path string) string { return fmt.Sprintf("http://127.0.0.1:%d%s", h.port, path) }

func (h *hub) api() hubtest.API { return hubtest.API{URL: h.url(""), Key: cmp.Or(h.key, apiKey)} }

// as is the same hub, called with another key.
func (h *hub) as(key string) *hub {
	other := *h
	other.key = key
	return &other
}

// get reads a public page; status 0 where nothing answers.
func (h *hub) get(path string) (int, string) { return h.api().Get(path) }

// call uses the API with the bootstrap key and decodes "data" into out.
func (h *hub) call(method, path string, body, out any) int {
	h.t.Helper()
	status, raw, err := h.try(method, path, body)
	require.NoError(h.t, err)
	if out != nil {
		require.Less(h.t, status, 300, "%s %s: %s", method, path, raw)
		hubtest.Data(h.t, raw, out)
	}
	return status
}

// try is a call whose failure is the test's to judge. Its deadline bounds it.
func (h *hub) try(method, path string, body any) (int, []byte, error) {
	return h.api().Do(context.Background(), method, path, body)
}

// line is an instance of the custom channel with the program behind it.
type line struct {
	*customtest.Client
	hub *hub
	id  string
	out *customtest.Receiver
}

// object is a piece of JSON.
type object map[string]any

// newLine creates a custom instance; settings are merged into its body.
func (h *hub) newLine(settings object) *line {
	h.t.Helper()
	secret := customtest.NewSecret()
	out, err := customtest.NewReceiver(secret)
	require.NoError(h.t, err)
	h.t.Cleanup(out.Close)
	body := object{"name": h.t.Name(), "channel": "custom",
		"channelConfig": object{"secret": secret, "callbackUrl": out.URL()}, "agent": object{"provider": "echo"}}
	maps.Copy(body, settings)
	var created struct{ ID string }
	h.call(http.MethodPost, "/api/v1/instances", body, &created)
	l := &line{hub: h, id: created.ID, out: out,
		Client: &customtest.Client{URL: h.url("/webhook/custom/" + created.ID), Secret: secret}}
	require.Eventually(h.t, func() bool {
		var st struct{ Status string }
		h.call(http.MethodGet, "/api/v1/instances/"+l.id, nil, &st)
		return st.Status == "active"
	}, 20*time.Second, 20*time.Millisecond, "the instance becomes active")
	return l
}

// say sends a text and returns the message's id.
func (l *line) say(id, chat, text string) string {
	l.hub.t.Helper()
	a, err := l.SendText(l.hub.t.Context(), id, chat, "u-"+chat, text)
	require.NoError(l.hub.t, err)
	return a.MessageID
}

// hears waits until the chat shows n bubbles, and says so if more came.
func (l *line) hears(within time.Duration, chat string, n int) []string {
	l.hub.t.Helper()
	ctx, cancel := context.WithTimeout(l.hub.t.Context(), within)
	defer cancel()
	texts, err := l.out.WaitTexts(ctx, chat, n)
	require.NoError(l.hub.t, err, "waiting for %d bubbles in %q, have %q", n, chat, texts)
	return texts
}

// settled waits until every inbound message of the line has its outcome.
func (l *line) settled(within time.Duration, ids ...string) map[string]string {
	l.hub.t.Helper()
	statuses := map[string]string{}
	require.Eventually(l.hub.t, func() bool {
		for _, id := range ids {
			if s := statuses[id]; s != "" && s != "received" && s != "processing" {
				continue
			}
			var m struct{ Status string }
			if status, raw, err := l.hub.try(http.MethodGet, "/api/v1/messages/"+id, nil); err == nil && status == http.StatusOK {
				var envelope struct{ Data struct{ Status string } }
				if json.Unmarshal(raw, &envelope) == nil {
					m.Status = envelope.Data.Status
				}
			}
			statuses[id] = m.Status
			if m.Status == "" || m.Status == "received" || m.Status == "processing" {
				return false
			}
		}
		return true
	}, within, 100*time.Millisecond, "every message has its outcome")
	return statuses
}
