package telemetry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.uber.org/goleak"

	"github.com/omnihub/omni/internal/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func setup(t *testing.T, opts telemetry.Options) *telemetry.Telemetry {
	t.Helper()
	tel, err := telemetry.Setup(t.Context(), opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, tel.Shutdown(context.Background())) })
	return tel
}

func TestLogLinesCarryWhatTheContextKnows(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	tel := setup(t, telemetry.Options{LogOutput: &out, LogFormat: telemetry.FormatJSON})

	ctx, span := tel.Tracer.Start(t.Context(), "step")
	defer span.End()
	ctx = telemetry.With(ctx, slog.String(telemetry.KeyInstance, "i1"), slog.String(telemetry.KeyChat, "c1"))
	ctx = telemetry.With(ctx, slog.String(telemetry.KeyChat, "c2"), slog.String(telemetry.KeyTurn, "t1"))
	tel.Log.With("part", 1).InfoContext(ctx, "sent", "n", 2)

	var line map[string]any
	require.NoError(t, json.Unmarshal(out.Bytes(), &line))
	require.Equal(t, "sent", line["msg"])
	require.Equal(t, "i1", line[telemetry.KeyInstance])
	require.Equal(t, "c2", line[telemetry.KeyChat])
	require.Equal(t, "t1", line[telemetry.KeyTurn])
	require.Equal(t, span.SpanContext().TraceID().String(), line[telemetry.KeyTrace])
	require.Equal(t, span.SpanContext().SpanID().String(), line[telemetry.KeySpan])
	require.EqualValues(t, 1, line["part"])
}

func TestLogLevelHides(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := telemetry.NewLogger(&out, telemetry.FormatText, slog.LevelWarn)
	log.Info("quiet")
	require.Empty(t, out.String())
	log.Warn("loud")
	require.Contains(t, out.String(), "msg=loud")
}

func TestTraceparentContinuesATrace(t *testing.T) {
	t.Parallel()
	spans := tracetest.NewInMemoryExporter()
	tel := setup(t, telemetry.Options{SpanProcessors: []sdktrace.SpanProcessor{sdktrace.NewSimpleSpanProcessor(spans)}})

	ctx, edge := tel.Tracer.Start(t.Context(), "webhook")
	tp := telemetry.Traceparent(ctx)
	edge.End()
	require.Regexp(t, `^00-[0-9a-f]{32}-[0-9a-f]{16}-01$`, tp)

	_, step := tel.Tracer.Start(telemetry.WithTraceparent(context.Background(), tp), "step")
	step.End()
	got := spans.GetSpans()
	require.Len(t, got, 2)
	require.Equal(t, got[0].SpanContext.TraceID(), got[1].SpanContext.TraceID())
	require.Equal(t, got[0].SpanContext.SpanID(), got[1].Parent.SpanID())
}

func TestTraceparentWithoutAnybodyLooking(t *testing.T) {
	t.Parallel()
	tel := setup(t, telemetry.Options{})
	ctx, span := tel.Tracer.Start(t.Context(), "webhook")
	defer span.End()
	require.False(t, span.IsRecording())
	require.Regexp(t, `^00-[0-9a-f]{32}-[0-9a-f]{16}-00$`, telemetry.Traceparent(ctx))
}

func TestBrokenTraceparentIsIgnored(t *testing.T) {
	t.Parallel()
	for _, tp := range []string{"", "x", "00-0-0-0", "00-00000000000000000000000000000000-0000000000000000-01"} {
		require.Empty(t, telemetry.Traceparent(telemetry.WithTraceparent(t.Context(), tp)), tp)
	}
}

func TestSpansReachACollector(t *testing.T) {
	t.Parallel()
	got := make(chan string, 1)
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got <- r.URL.Path }))
	defer collector.Close()
	tel, err := telemetry.Setup(t.Context(), telemetry.Options{OTLPEndpoint: collector.URL + "/"})
	require.NoError(t, err)
	_, span := tel.Tracer.Start(t.Context(), "webhook")
	span.End()
	require.NoError(t, tel.Shutdown(t.Context()))
	require.Equal(t, "/v1/traces", <-got)
}

func TestMetricsAreServed(t *testing.T) {
	t.Parallel()
	tel := setup(t, telemetry.Options{})
	record(t.Context(), tel.Metrics)

	w := httptest.NewRecorder()
	tel.MetricsHandler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	require.Equal(t, http.StatusOK, w.Code)
	for _, want := range []string{
		`omni_ingest_published_total{channel="custom",duplicate="false"} 1`,
		`omni_ingest_recorded_total{outcome="ok"} 7`,
		`omni_ingest_record_seconds_count{outcome="ok"} 1`,
		`omni_start_seconds_count{outcome="error"} 1`,
		`omni_step_seconds_count{outcome="ok",step="turn.Join"} 1`,
		`omni_agent_seconds_count{outcome="rate_limited",provider="openai"} 1`,
		`omni_deliver_seconds_count{channel="custom",outcome="sent"} 1`,
		`omni_reply_latency_seconds_count{channel="custom"} 1`,
		`omni_events_relayed_total 3`,
		`omni_panics_total{where="gateway"} 1`,
		`omni_dead_letters_total{step="agent.Reply"} 1`,
		"go_goroutines ",
	} {
		require.Contains(t, w.Body.String(), want)
	}
}

// The table of docs/operations.md names every instrument of Metrics with its
// labels.
func TestMetricsAreDocumented(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../../docs/operations.md")
	require.NoError(t, err)
	said := map[string][]string{}
	for _, m := range regexp.MustCompile("`(omni_[a-z_]+)(?:{([a-z_,]+)})?`").FindAllStringSubmatch(string(raw), -1) {
		labels := strings.FieldsFunc(m[2], func(r rune) bool { return r == ',' })
		if said[m[1]] == nil || len(labels) > 0 { // it is named again in the text
			slices.Sort(labels)
			said[m[1]] = labels
		}
	}
	tel := setup(t, telemetry.Options{})
	record(t.Context(), tel.Metrics)
	w := httptest.NewRecorder()
	tel.MetricsHandler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	served := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^(omni_[a-z_]+?)(?:_count)?(?:{(.*)})? [^ ]+$`).FindAllStringSubmatch(w.Body.String(), -1) {
		if strings.HasSuffix(m[1], "_bucket") || strings.HasSuffix(m[1], "_sum") {
			continue
		}
		served[m[1]] = true
		labels := []string{}
		for _, l := range regexp.MustCompile(`([a-z_]+)="`).FindAllStringSubmatch(m[2], -1) {
			labels = append(labels, l[1])
		}
		require.Contains(t, said, m[1])
		require.Equal(t, labels, append([]string{}, said[m[1]]...), m[1])
	}
	require.Len(t, served, reflect.TypeFor[telemetry.Metrics]().NumField(), "record calls them all")
}

func TestNilMetricsMeasureNothing(t *testing.T) {
	t.Parallel()
	require.NotPanics(t, func() { record(t.Context(), nil) })
}

func record(ctx context.Context, m *telemetry.Metrics) {
	m.IngestPublished(ctx, "custom", false)
	m.IngestRecord(ctx, 7, time.Millisecond, nil)
	m.Start(ctx, time.Millisecond, errors.New("down"))
	m.Step(ctx, "turn.Join", time.Millisecond, nil)
	m.Agent(ctx, "openai", "rate_limited", time.Second)
	m.AgentTokens(ctx, "openai", "gpt", 5, 0)
	m.AgentCost(ctx, "openai", "gpt", "USD", 0.5)
	m.AccessDecision(ctx, "custom", "deny", true)
	m.Deliver(ctx, "custom", "sent", time.Millisecond)
	m.ReplyLatency(ctx, "custom", time.Second)
	m.EventsRelayed(ctx, 3)
	m.Panic(ctx, "gateway")
	m.DeadLetter(ctx, "agent.Reply")
}
