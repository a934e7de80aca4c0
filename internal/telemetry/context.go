package telemetry

import (
	"context"
	"log/slog"
	"slices"
)

// The names of attributes, the same in log lines and on spans.
const (
	KeyTrace       = "trace_id"
	KeySpan        = "span_id"
	KeyCorrelation = "correlation_id" // the inbound message that began it all
	KeyTenant      = "tenant_id"
	KeyInstance    = "instance_id"
	KeyChat        = "chat_id"
	KeyTurn        = "turn_id"
)

type attrsKey struct{}

// With returns a context whose log lines carry attrs. An attribute of the
// same name set earlier is replaced.
func With(ctx context.Context, attrs ...slog.Attr) context.Context {
	if len(attrs) == 0 {
		return ctx
	}
	old := Attrs(ctx)
	all := make([]slog.Attr, 0, len(old)+len(attrs))
	for _, a := range old {
		if !slices.ContainsFunc(attrs, func(b slog.Attr) bool { return b.Key == a.Key }) {
			all = append(all, a)
		}
	}
	return context.WithValue(ctx, attrsKey{}, append(all, attrs...))
}

// Attrs returns what With put into the context, oldest first. The slice must
// not be changed.
func Attrs(ctx context.Context) []slog.Attr {
	attrs, _ := ctx.Value(attrsKey{}).([]slog.Attr)
	return attrs
}
