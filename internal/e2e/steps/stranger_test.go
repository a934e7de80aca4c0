package steps

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/internal/testkit"
	"github.com/omnihub/omni/workflows"
)

// stranger is somebody else's fake of AI services (@copilotkit/aimock): what it
// takes for a request of OpenAI's or Anthropic's is not our own opinion.
type stranger struct{ url string }

func newStranger(t *testing.T) *stranger {
	t.Helper()
	dir := testkit.NPM(t, filepath.Join("testdata", "aimock"))
	fixtures, err := filepath.Abs(filepath.Join("testdata", "aimock", "fixtures.json"))
	require.NoError(t, err)
	port := testkit.FreePort(t)
	cmd := exec.Command("node", filepath.Join(dir, "node_modules", "@copilotkit", "aimock", "dist", "cli.js"), //nolint:gosec // as installed
		"--port", strconv.Itoa(port), "--fixtures", fixtures, "--log-level", "warn", "--strict", "--validate-on-load")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.Env = &out, &out, append(os.Environ(), "NO_COLOR=1")
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("aimock:\n%s", out.String())
		}
	})
	s := &stranger{url: fmt.Sprintf("http://127.0.0.1:%d", port)}
	require.Eventually(t, func() bool {
		res, err := http.Get(s.url + "/health")
		if err != nil {
			return false
		}
		_ = res.Body.Close()
		return res.StatusCode < 500
	}, 30*time.Second, 50*time.Millisecond, "aimock is up")
	return s
}

// chaos sets what goes wrong; nil: nothing any more.
func (s *stranger) chaos(t *testing.T, rates object) {
	t.Helper()
	method, body := http.MethodDelete, io.Reader(http.NoBody)
	if rates != nil {
		b, err := json.Marshal(rates)
		require.NoError(t, err)
		method, body = http.MethodPost, bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, s.url+"/__aimock/chaos", body)
	require.NoError(t, err)
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	_ = res.Body.Close()
	require.Less(t, res.StatusCode, 300)
}

// The hub talks to a stranger's OpenAI and Anthropic, whole and in streams: it
// is answered, told to wait, cut off, refused, and outlives what goes wrong.
func TestStrangersServices(t *testing.T) {
	t.Parallel()
	w := newWatched(t, slog.LevelInfo)
	for _, provider := range []string{"openai", "anthropic"} {
		for _, stream := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, stream %v", provider, stream), func(t *testing.T) {
				t.Parallel()
				s := newStranger(t) // of its own: it counts, and goes wrong, for itself
				base := s.url
				if provider == "openai" {
					base += "/v1"
				}
				agent := object{"provider": provider, "apiUrl": base, "apiKey": "sk-stranger", "model": "model-1", "streaming": stream,
					"systemPrompt": "Be kind.", "retryForSeconds": 60}
				with := func(more object) object {
					a := maps.Clone(agent)
					maps.Copy(a, more)
					return object{"agent": a}
				}
				l := w.newLine(t, with(nil))
				l.say(t, "m1", "c1", "hello")
				l.hears(t, 20*time.Second, "c1", "Hello from a **stranger**!", "How are you?")

				began := time.Now()
				m := l.say(t, "m2", "limited", "limited please")
				l.hears(t, 20*time.Second, "limited", "**Thank you** for waiting.")
				require.GreaterOrEqual(t, time.Since(began), 2*time.Second, "as it was told")
				require.Equal(t, 1, w.events(t, m)["agent.error"])

				if stream {
					m = l.say(t, "m3", "cut", "cut please")
					l.hears(t, 20*time.Second, "cut", "Here is all of it.")
					require.Equal(t, 1, w.events(t, m)["agent.error"])
				}

				m = l.say(t, "m4", "wrong", "wrong key")
				w.finishedWithin(t, 20*time.Second, workflows.MessageWorkflowID(m))
				letters := w.deadLetters(t, m)
				require.Len(t, letters, 1)
				require.Contains(t, letters[0].error, "bad_credentials (401)")
				require.NotContains(t, letters[0].error, "sk-stranger")
				require.Equal(t, 1, letters[0].attempts, "a wrong key is not tried again")

				for i, rates := range []object{{"dropRate": 1}, {"malformedRate": 1}, {"disconnectRate": 1}, {"rateLimitRate": 1}} {
					s.chaos(t, rates)
					chat := fmt.Sprint("chaos-", i)
					m = l.say(t, chat, chat, "hello")
					require.Eventually(t, func() bool { return w.events(t, m)["agent.error"] > 0 }, 20*time.Second, 20*time.Millisecond, "%v", rates)
					s.chaos(t, nil)
					l.hears(t, 30*time.Second, chat, "Hello from a **stranger**!", "How are you?")
					require.Equal(t, 1, w.events(t, m)["agent.response"])
				}
			})
		}
	}
}
