package telemetry_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/omnihub/omni/internal/telemetry"
)

func TestTransportContinuesTheTrace(t *testing.T) {
	t.Parallel()
	spans := tracetest.NewSpanRecorder()
	tracer := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)).Tracer("test")
	var got []string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got = append(got, r.Header.Get("Traceparent"))
	}))
	t.Cleanup(server.Close)
	client := &http.Client{Transport: telemetry.Transport(http.DefaultTransport, tracer)}

	ctx, parent := tracer.Start(t.Context(), "parent")
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL+"/bot123:secret/sendMessage?token=secret", nil)
	require.NoError(t, err)
	resp, err := client.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Empty(t, req.Header, "the caller's request is not changed")
	require.Len(t, spans.Ended(), 1)
	span := spans.Ended()[0]
	require.Equal(t, parent.SpanContext().SpanID(), span.Parent().SpanID())
	require.Equal(t, "00-"+parent.SpanContext().TraceID().String()+"-"+span.SpanContext().SpanID().String()+"-01", got[0])
	for _, attr := range span.Attributes() {
		require.NotContains(t, attr.Value.String(), "secret", attr.Key)
	}

	// What belongs to no trace begins none.
	req, err = http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
	require.NoError(t, err)
	resp, err = client.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Empty(t, got[1])
	require.Len(t, spans.Ended(), 1)
}
