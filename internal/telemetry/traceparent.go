package telemetry

import (
	"context"

	"go.opentelemetry.io/otel/propagation"
)

const traceparentHeader = "traceparent"

// Traceparent returns the W3C traceparent of the context's span, "" without
// one. It is what goes into NATS headers, workflow inputs and events.
func Traceparent(ctx context.Context) string {
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	return carrier.Get(traceparentHeader)
}

// WithTraceparent returns a context whose next span continues the trace that
// tp names. An empty or malformed tp leaves the context as it is: a broken
// header must not cost the message.
func WithTraceparent(ctx context.Context, tp string) context.Context {
	if tp == "" {
		return ctx
	}
	return propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{traceparentHeader: tp})
}
