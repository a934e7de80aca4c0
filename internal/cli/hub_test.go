//go:build !slim

package cli_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	_ "github.com/omnihub/omni/channels/standard"
	"github.com/omnihub/omni/internal/cli"
	"github.com/omnihub/omni/internal/config"
	"github.com/omnihub/omni/internal/embedded"
	"github.com/omnihub/omni/internal/testkit"
)

// buffer may be read while a command writes to it.
type buffer struct {
	mutex sync.Mutex
	bytes bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.bytes.Write(p)
}

func (b *buffer) String() string {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.bytes.String()
}

// process is a command that runs until it is told to stop.
type process struct {
	t              *testing.T
	stdout, stderr buffer
	cancel         context.CancelFunc
	ended          chan int
}

func start(t *testing.T, environ []string, args ...string) *process {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	p := &process{t: t, cancel: cancel, ended: make(chan int, 1)}
	go func() {
		p.ended <- cli.Main(ctx, args, cli.Env{
			Stdin: strings.NewReader(""), Stdout: &p.stdout, Stderr: &p.stderr, Environ: environ,
			DotEnv: filepath.Join(t.TempDir(), ".env"),
		})
	}()
	t.Cleanup(func() { p.stop() })
	return p
}

func (p *process) awaitReady(port int) {
	p.t.Helper()
	require.Eventually(p.t, func() bool {
		select {
		case code := <-p.ended:
			p.ended <- code
			return true // the requests below will tell
		default:
		}
		response, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/readyz", port))
		if err != nil {
			return false
		}
		return response.Body.Close() == nil && response.StatusCode == http.StatusOK
	}, 2*time.Minute, 20*time.Millisecond)
}

func (p *process) stop() (code int) {
	p.cancel()
	code = <-p.ended
	p.ended <- code
	return code
}

func requireWell(t *testing.T, environ []string) {
	t.Helper()
	r := run(t, environ, "doctor", "--json")
	require.Zero(t, r.code, r.stdout+r.stderr)
	var found struct {
		OK    bool
		Trace struct {
			Status string
			Steps  []struct{ Name string }
		}
	}
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &found))
	require.True(t, found.OK)
	require.Equal(t, "answered", found.Trace.Status)
	require.NotEmpty(t, found.Trace.Steps)
}

func TestUpAnswersStopsAndComesBack(t *testing.T) {
	t.Parallel()
	port := testkit.FreePort(t)
	dir := filepath.Join(t.TempDir(), "data")
	environ := []string{"OMNI_DATA_DIR=" + dir, fmt.Sprintf("OMNI_PORT=%d", port), "OMNI_TEMPORAL_UI_PORT=0"}
	for round := range 2 {
		hub := start(t, environ, "up")
		hub.awaitReady(port)
		requireWell(t, environ)
		require.Eventually(t, func() bool { return strings.Contains(hub.stdout.String(), "Ctrl-C") }, 10*time.Second, 10*time.Millisecond)
		banner := hub.stdout.String()
		require.Contains(t, banner, fmt.Sprintf("http://127.0.0.1:%d", port))
		require.Contains(t, banner, "Temporal UI")
		require.Equal(t, round == 0, strings.Contains(banner, "shown once"), "the key is printed once")

		requireOneLine(t, run(t, []string{"OMNI_DATA_DIR=" + dir, "OMNI_PORT=0", "OMNI_TEMPORAL_UI_PORT=0"}, "up"),
			"OMNI_DATA_DIR", dir, "in use by another omni")

		began := time.Now()
		require.Zero(t, hub.stop(), hub.stderr.String())
		require.Less(t, time.Since(began), 15*time.Second)
	}
}

func TestServeAgainstAnExternalStack(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	cfg, err := config.Load([]string{"OMNI_DATA_DIR=" + filepath.Join(t.TempDir(), "data"), "OMNI_TEMPORAL_UI_PORT=1"}, "")
	require.NoError(t, err)
	cfg.TemporalUIPort = 0
	stack, err := embedded.Start(ctx, cfg, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, stack.Stop(context.Background())) })

	port := testkit.FreePort(t)
	environ := []string{
		"DATABASE_URL=" + stack.DatabaseURL, "NATS_URL=" + stack.NATSURL, "TEMPORAL_ADDRESS=" + stack.TemporalAddress,
		"TEMPORAL_NAMESPACE=omni-serve", fmt.Sprintf("OMNI_PORT=%d", port), "OMNI_API_KEY=a-key-for-this-test-only",
		"OMNI_ENCRYPTION_KEY=" + base64.StdEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef")),
	}
	requireOneLine(t, run(t, environ, "serve"), "omni migrate up")
	r := run(t, environ, "migrate", "up")
	require.Zero(t, r.code, r.stderr)
	require.Contains(t, r.stdout, "Temporal namespace omni-serve is ready")

	// The work in one process, the front door in another.
	health := testkit.FreePort(t)
	work := start(t, append([]string{fmt.Sprintf("OMNI_HEALTH_PORT=%d", health)}, environ...), "serve", "--roles", "gateway,ingest,pipeline,media,agent,delivery,relay")
	door := start(t, environ, "serve", "--roles", "api")
	work.awaitReady(health)
	door.awaitReady(port)
	requireWell(t, environ)
	require.Zero(t, door.stop(), door.stderr.String())
	require.Zero(t, work.stop(), work.stderr.String())
}
