package gateway

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/internal/telemetry"
)

// metrics are the hub's instruments and the gateway's own.
type metrics struct {
	*telemetry.Metrics
	sessions   metric.Int64UpDownCounter
	operations metric.Float64Histogram
}

func newMetrics(shared *telemetry.Metrics, meter metric.Meter) (*metrics, error) {
	if meter == nil {
		meter = otel.Meter("github.com/omnihub/omni/workers/gateway")
	}
	m := metrics{Metrics: shared}
	var errs [2]error
	m.sessions, errs[0] = meter.Int64UpDownCounter("omni_gateway_sessions", metric.WithDescription("channel sessions that run here"))
	m.operations, errs[1] = meter.Float64Histogram("omni_gateway_operation_seconds", metric.WithUnit("s"),
		metric.WithDescription("one operation on a platform, by channel, operation and result"))
	return &m, errors.Join(errs[:]...)
}

func (m *metrics) operated(ctx context.Context, channel string, op channels.Operation, reply channels.Reply, took time.Duration) {
	result := "done"
	if reply.Error != nil {
		result = string(reply.Error.Kind)
	}
	m.operations.Record(ctx, took.Seconds(), metric.WithAttributes(attribute.String("channel", channel),
		attribute.String("operation", string(op)), attribute.String("result", result)))
}

func (m *metrics) panicked(ctx context.Context, channel string) { m.Panic(ctx, "channel "+channel) }
