package e2e

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels/custom/customtest"
	"github.com/omnihub/omni/internal/config"
	"github.com/omnihub/omni/internal/durable"
	"github.com/omnihub/omni/internal/embedded"
	"github.com/omnihub/omni/internal/store"
)

// takenOverWithin is within how long what a hub that was killed held is served
// by another, replies included.
const takenOverWithin = 12 * time.Second

// startGround runs one Postgres, NATS and Temporal in the test's process for
// hubs that share them, and returns the hubs' environment.
func startGround(t *testing.T) []string {
	t.Helper()
	// Postgres runs as another user than root and must be able to reach it.
	dir, err := os.MkdirTemp("", "omni-ground-")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o755)) //nolint:gosec // as said above
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	cfg, err := config.Load([]string{"OMNI_DATA_DIR=" + filepath.Join(dir, "data"), "OMNI_TEMPORAL_UI_PORT=0"}, "")
	require.NoError(t, err)
	ctx := context.WithoutCancel(t.Context())
	stack, err := embedded.Start(ctx, cfg, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() {
		limited, cancel := context.WithTimeout(ctx, 15*time.Second)
		defer cancel()
		require.NoError(t, stack.Stop(limited))
	})
	_, err = store.Migrate(ctx, stack.DatabaseURL)
	require.NoError(t, err)
	temporal, err := durable.Dial(ctx, durable.ClientConfig{Address: stack.TemporalAddress, Namespace: cfg.TemporalNamespace,
		Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	defer temporal.Close()
	require.NoError(t, durable.EnsureNamespace(ctx, temporal, cfg.TemporalNamespace))
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	return []string{"DATABASE_URL=" + stack.DatabaseURL, "NATS_URL=" + stack.NATSURL, "TEMPORAL_ADDRESS=" + stack.TemporalAddress,
		"OMNI_ENCRYPTION_KEY=" + base64.StdEncoding.EncodeToString(key)}
}

// metric sums the samples of a name whose labels contain all of the given.
func (h *hub) metric(name string, labels ...string) (sum float64) {
	h.t.Helper()
	status, body := h.get("/metrics")
	require.Equal(h.t, http.StatusOK, status, body)
	for sample := range strings.Lines(body) {
		fields := strings.Fields(sample)
		series, _, _ := strings.Cut(sample, "{")
		if len(fields) < 2 || strings.Fields(series)[0] != name {
			continue
		}
		if slices.ContainsFunc(labels, func(label string) bool { return !strings.Contains(sample, label) }) {
			continue
		}
		v, err := strconv.ParseFloat(fields[len(fields)-1], 64)
		require.NoError(h.t, err, sample)
		sum += v
	}
	return sum
}

// through is the line's webhook at another hub.
func (l *line) through(h *hub) *customtest.Client {
	return &customtest.Client{URL: h.url("/webhook/custom/" + l.id), Secret: l.Secret}
}

// peers are two processes of omni serve on one ground, and lines of which each
// holds some.
type peers struct {
	a, b  *hub
	lines []*line
	agent *llm
}

func newPeers(t *testing.T) *peers {
	t.Helper()
	env := startGround(t)
	p := &peers{a: prepareHub(t, env, "serve"), b: prepareHub(t, env, "serve")}
	p.agent = newLLM(t, func(_ *http.Request, texts []string) (int, string) {
		return http.StatusOK, "re: " + texts[len(texts)-1]
	})
	p.a.launch()
	p.b.launch()
	p.a.waitReady(60 * time.Second)
	p.b.waitReady(60 * time.Second)
	// Whoever is first takes an instance's lease.
	const most = 24
	for p.a.metric("omni_gateway_sessions") < 2 || p.b.metric("omni_gateway_sessions") < 2 {
		require.Less(t, len(p.lines), most, "one hub takes every instance")
		creator := []*hub{p.a, p.b}[len(p.lines)%2]
		p.lines = append(p.lines, creator.newLine(object{"agent": p.agent.agent(object{"quick": "never", "session": "chat"})}))
	}
	return p
}

// Two hubs on one Postgres, NATS and Temporal: both work, and no message is
// answered twice. When one is killed, the other serves what it held.
func TestTwoHubsShareTheWork(t *testing.T) {
	p := newPeers(t)
	const chats, each = 12, 5
	var wg sync.WaitGroup
	for c := range chats {
		l, chat := p.lines[c%len(p.lines)], fmt.Sprint("c", c)
		wg.Go(func() {
			for i := range each {
				hub := []*hub{p.a, p.b}[(c+i)%2]
				if _, err := l.through(hub).SendText(t.Context(), fmt.Sprint(chat, "-", i), chat, "u-"+chat, fmt.Sprint("line ", i)); err != nil {
					t.Error(err)
				}
				if _, err := l.out.WaitTexts(t.Context(), chat, i+1); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for c := range chats {
		l, chat := p.lines[c%len(p.lines)], fmt.Sprint("c", c)
		require.Equal(t, []string{"re: line 0", "re: line 1", "re: line 2", "re: line 3", "re: line 4"}, l.out.Texts(chat))
	}
	const all = chats * each
	require.Len(t, p.agent.called, all, "the agent is asked once for each message")
	calls := 0
	for _, l := range p.lines {
		calls += len(l.out.Calls())
	}
	require.Equal(t, all, calls, "each reply is delivered once")
	for name, of := range map[string]func(h *hub) float64{
		"agent calls": func(h *hub) float64 { return h.metric("omni_agent_seconds_count") },
		"deliveries":  func(h *hub) float64 { return h.metric("omni_gateway_operation_seconds_count", `result="done"`) },
	} {
		var a, b float64
		require.Eventually(t, func() bool {
			a, b = of(p.a), of(p.b)
			return a+b >= all
		}, 20*time.Second, 20*time.Millisecond, "%s are counted", name)
		t.Logf("%s: %v by one hub, %v by the other", name, a, b)
		require.Positive(t, a, name)
		require.Positive(t, b, name)
		require.InDelta(t, all, a+b, 0, name)
	}
	p.killOne(t)
}

// killOne is SIGKILL to one hub while messages come in; the platforms go on
// at the other.
func (p *peers) killOne(t *testing.T) {
	t.Helper()
	release := make(chan struct{})
	p.agent.Set(func(r *http.Request, texts []string) (int, string) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
		return http.StatusOK, "re: " + texts[len(texts)-1]
	})
	asked := len(p.agent.called)
	underWay := map[*line][]string{} // message ids
	for _, l := range p.lines {
		for _, hub := range []*hub{p.a, p.b} {
			chat := fmt.Sprint("under way at ", hub.port)
			a, err := l.through(hub).SendText(t.Context(), chat, chat, "u", "under way")
			require.NoError(t, err)
			underWay[l] = append(underWay[l], a.MessageID)
		}
	}
	require.Eventually(t, func() bool { return len(p.agent.called) == asked+2*len(p.lines) }, 20*time.Second, 10*time.Millisecond,
		"every message is at the agent")
	p.b.kill()
	killed := time.Now()
	close(release)
	for i, l := range p.lines {
		_, err := l.through(p.a).SendText(t.Context(), "after", "after", "u", fmt.Sprint("after ", i))
		require.NoError(t, err)
	}
	for i, l := range p.lines {
		l.hub = p.a
		require.Equal(t, []string{fmt.Sprint("re: after ", i)}, l.hears(takenOverWithin-time.Since(killed), "after", 1))
	}
	t.Logf("the other hub serves every instance %s after the kill", time.Since(killed).Round(time.Millisecond))
	require.InDelta(t, len(p.lines), p.a.metric("omni_gateway_sessions"), 0, "it holds every instance")
	for _, l := range p.lines {
		for _, hub := range []*hub{p.a, p.b} {
			chat := fmt.Sprint("under way at ", hub.port)
			require.Equal(t, []string{"re: under way"}, l.hears(2*takenOverWithin, chat, 1), chat)
		}
		for id, status := range l.settled(answeredWithin, underWay[l]...) {
			require.Equal(t, "answered", status, id)
		}
	}
	for _, l := range p.lines {
		for _, chat := range []string{"after", fmt.Sprint("under way at ", p.a.port), fmt.Sprint("under way at ", p.b.port)} {
			require.Len(t, l.out.Texts(chat), 1, "%s is answered once", chat)
		}
	}
}
