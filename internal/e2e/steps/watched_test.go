package steps

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/omnihub/omni/internal/cli"
	"github.com/omnihub/omni/internal/config"
	"github.com/omnihub/omni/internal/telemetry"
	"github.com/omnihub/omni/workers"
)

// watched is a hub in the test's own process.
type watched struct {
	*site
	gates gates
	log   logBuffer
}

func newWatched(t *testing.T, level slog.Level, spans ...sdktrace.SpanProcessor) *watched {
	t.Helper()
	return newWatchedWith(t, level, func(*workers.Deps) {}, spans...)
}

// newWatchedWith is newWatched with a change of what the roles are handed.
func newWatchedWith(t *testing.T, level slog.Level, change func(*workers.Deps), spans ...sdktrace.SpanProcessor) *watched {
	t.Helper()
	w := &watched{site: newSite(t)}
	cfg, err := config.Load(w.environ(), "")
	require.NoError(t, err)
	ctx := context.WithoutCancel(t.Context())
	tel, err := telemetry.Setup(ctx, telemetry.Options{LogOutput: &w.log, LogFormat: telemetry.FormatJSON, LogLevel: level, SpanProcessors: spans})
	require.NoError(t, err)
	options := hubOptions(w.gates.pass)
	decorate := options.Decorate
	options.Decorate = func(d *workers.Deps) { decorate(d); change(d) }
	hub, err := cli.StartHub(ctx, cfg, tel, options)
	require.NoError(t, err)
	t.Cleanup(func() {
		w.gates.open()
		require.NoError(t, hub.Stop(ctx))
		require.NoError(t, tel.Shutdown(ctx))
		if t.Failed() {
			t.Logf("the hub's log:\n%s", w.log.tail())
		}
	})
	require.Eventually(t, w.ready, 20*time.Second, 20*time.Millisecond)
	return w
}

// gates stop steps at chosen moments until they are let go on.
type gates struct {
	mu   sync.Mutex
	list []*gate
	all  bool // every gate stands open
}

type gate struct {
	moment
	reached  chan struct{} // closed when the step has come to the moment
	released chan struct{}
	used     bool
}

// at puts a gate at the next time of a moment.
func (g *gates) at(m moment) *gate {
	g.mu.Lock()
	defer g.mu.Unlock()
	it := &gate{moment: m, reached: make(chan struct{}), released: make(chan struct{})}
	g.list = append(g.list, it)
	return it
}

// pass is the probe.
func (g *gates) pass(ctx context.Context, m moment) {
	it := g.find(m)
	if it == nil {
		return
	}
	close(it.reached)
	select {
	case <-it.released:
	case <-ctx.Done():
	}
}

func (g *gates) find(m moment) *gate {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, it := range g.list {
		if !it.used && !g.all && it.is(m) {
			it.used = true
			return it
		}
	}
	return nil
}

// open lets everybody through from now on.
func (g *gates) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.all = true
	for _, it := range g.list {
		it.release()
	}
}

func (g *gate) release() {
	select {
	case <-g.released:
	default:
		close(g.released)
	}
}

// wait blocks until a step stands at the gate.
func (g *gate) wait(t *testing.T) {
	t.Helper()
	select {
	case <-g.reached:
	case <-time.After(20 * time.Second):
		require.Fail(t, "no step has come to the gate", "%s %s", g.When, g.Point)
	}
}

// logBuffer keeps what the hub logs.
type logBuffer struct {
	mu  sync.Mutex
	buf []byte
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.buf = append(b.buf, p...)
	return len(p), nil
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return string(b.buf)
}

func (b *logBuffer) tail() string {
	s := b.String()
	const limit = 8000
	return s[max(0, len(s)-limit):]
}
