package steps

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/omnihub/omni/activities"
	"github.com/omnihub/omni/channels/custom/customtest"
	"github.com/omnihub/omni/workflows"
)

// clientSpan is the caller's own.
const clientSpan = "b7ad6b7169203331"

// One message is one trace, from the platform's call to the channel's, on the
// quick path and on the regular one; and so are the lines it leaves in the log.
func TestOneMessageIsOneTrace(t *testing.T) {
	t.Parallel()
	spans := tracetest.NewSpanRecorder()
	w := newWatched(t, slog.LevelDebug, spans)
	w.traced(t, spans, regularWay, "0af7651916cd43dd8448eb211c80319c", []string{
		"POST /webhook/:channel/:instanceId", "gateway.Publish", "ingest.Record", "ingest.Start", "StartWorkflow:Message", "RunWorkflow:Message",
		"RunActivity:" + activities.IdentityResolve, "RunActivity:" + activities.AccessCheck, "RunActivity:" + activities.TurnJoin,
		"StartActivity:" + activities.AgentReply, "RunActivity:" + activities.AgentReply, "StartActivity:" + activities.DeliverSend,
		"RunActivity:" + activities.DeliverSend, "gateway.send", "POST 127.0.0.1"})
	w.traced(t, spans, quickWay, "0af7651916cd43dd8448eb211c80319d", []string{
		"POST /webhook/:channel/:instanceId", "gateway.Publish", "ingest.Record", "ingest.Start", "StartWorkflow:Message", "RunWorkflow:Message",
		"RunActivity:" + activities.IdentityResolve, "RunActivity:" + activities.AccessCheck, "RunActivity:" + activities.TurnJoin,
		"RunActivity:" + activities.AgentReply, "RunActivity:" + activities.DeliverSend, "gateway.send", "POST 127.0.0.1"})
}

// traced sends a message under a trace and checks what became of it.
func (w *watched) traced(t *testing.T, spans *tracetest.SpanRecorder, way way, trace string, want []string) {
	t.Helper()
	l := w.newLine(t, way.settings)
	if way.name == quickWay.name {
		l.warm(t, "warm")
	}
	body, err := json.Marshal(customtest.Text("m1", "c1", "u1", way.text))
	require.NoError(t, err)
	header := customtest.Header(l.Secret, "m1", time.Now(), body)
	header.Set("traceparent", "00-"+trace+"-"+clientSpan+"-01")
	answer, err := l.Post(t.Context(), header, body)
	require.NoError(t, err)
	require.Equal(t, http.StatusAccepted, answer.Status)
	l.hears(t, 10*time.Second, "c1", way.want...)
	message := l.message("m1")
	w.finished(t, workflows.MessageWorkflowID(message))

	var list []sdktrace.ReadOnlySpan
	require.Eventually(t, func() bool {
		list = inTrace(spans.Ended(), trace)
		return !slices.ContainsFunc(want, func(name string) bool { return len(named(list, name)) == 0 })
	}, 20*time.Second, 20*time.Millisecond, "the trace is whole: %q", names(list))
	ids := map[string]bool{clientSpan: true}
	for _, s := range list {
		ids[s.SpanContext().SpanID().String()] = true
	}
	for _, s := range list {
		require.True(t, ids[s.Parent().SpanID().String()], "%s has no parent in %q", s.Name(), names(list))
	}
	for _, call := range l.out.Bubbles() {
		if call.Message.Chat.ID != "c1" {
			continue
		}
		version, rest, _ := strings.Cut(call.Header.Get("traceparent"), "-")
		got, rest, _ := strings.Cut(rest, "-")
		parent, _, _ := strings.Cut(rest, "-")
		require.Equal(t, "00", version)
		require.Equal(t, trace, got, "the platform's side is in the trace")
		require.True(t, ids[parent], "under the call that was made")
	}
	w.logged(t, trace, map[string]string{"correlation_id": message.String(), "instance_id": l.id.String(), "chat_id": l.chat("c1").String()},
		activities.IdentityResolve, activities.AccessCheck, activities.TurnJoin, activities.AgentReply, activities.DeliverSend)
}

// logged checks that each step has left a line that carries the trace and the ids.
func (w *watched) logged(t *testing.T, trace string, want map[string]string, steps ...string) {
	t.Helper()
	seen := map[string]bool{}
	for text := range strings.Lines(w.log.String()) {
		var entry map[string]any
		if json.Unmarshal([]byte(text), &entry) != nil || entry["msg"] != "step done" || entry["trace_id"] != trace {
			continue
		}
		for key, value := range want {
			require.Equal(t, value, entry[key], "%s of %s", key, text)
		}
		if step, ok := entry["step"].(string); ok {
			seen[step] = true
		}
	}
	for _, step := range steps {
		require.True(t, seen[step], "%s has left a line in the trace; those that have: %v", step, seen)
	}
}

func inTrace(list []sdktrace.ReadOnlySpan, trace string) []sdktrace.ReadOnlySpan {
	return slices.DeleteFunc(slices.Clone(list), func(s sdktrace.ReadOnlySpan) bool { return s.SpanContext().TraceID().String() != trace })
}

func named(list []sdktrace.ReadOnlySpan, name string) []sdktrace.ReadOnlySpan {
	return slices.DeleteFunc(slices.Clone(list), func(s sdktrace.ReadOnlySpan) bool { return s.Name() != name })
}

func names(list []sdktrace.ReadOnlySpan) (out []string) {
	for _, s := range list {
		out = append(out, s.Name())
	}
	return out
}
