package telemetry

import (
	"context"
	"io"
	"log/slog"

	"go.opentelemetry.io/otel/trace"
)

// The formats of log lines.
const (
	FormatText = "text"
	FormatJSON = "json"
)

// NewLogger writes lines of the given format (FormatJSON, anything else is
// text) and level to w. Each line carries the trace and span of its context
// and whatever With put there.
func NewLogger(w io.Writer, format string, level slog.Leveler) *slog.Logger {
	opts := &slog.HandlerOptions{Level: level}
	if format == FormatJSON {
		return slog.New(contextHandler{slog.NewJSONHandler(w, opts)})
	}
	return slog.New(contextHandler{slog.NewTextHandler(w, opts)})
}

// contextHandler adds what the context knows to each record.
type contextHandler struct{ slog.Handler }

func (h contextHandler) Handle(ctx context.Context, r slog.Record) error {
	span := trace.SpanContextFromContext(ctx)
	attrs := Attrs(ctx)
	if span.IsValid() || len(attrs) > 0 {
		r = r.Clone() // the caller may hand the same record to another handler
		if span.IsValid() {
			r.AddAttrs(slog.String(KeyTrace, span.TraceID().String()), slog.String(KeySpan, span.SpanID().String()))
		}
		r.AddAttrs(attrs...)
	}
	return h.Handler.Handle(ctx, r)
}

func (h contextHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return contextHandler{h.Handler.WithAttrs(attrs)}
}

func (h contextHandler) WithGroup(name string) slog.Handler {
	return contextHandler{h.Handler.WithGroup(name)}
}
