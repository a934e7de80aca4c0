package gateway

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/omnihub/omni/channels"
)

type metrics struct {
	sessions metric.Int64UpDownCounter
	inbound  metric.Float64Histogram
	outbound metric.Float64Histogram
	panics   metric.Int64Counter
}

func newMetrics(meter metric.Meter) (*metrics, error) {
	if meter == nil {
		meter = otel.Meter("github.com/omnihub/omni/workers/gateway")
	}
	var m metrics
	var errs [4]error
	m.sessions, errs[0] = meter.Int64UpDownCounter("omni.gateway.sessions", metric.WithDescription("Channel sessions that run here."))
	m.inbound, errs[1] = meter.Float64Histogram("omni.gateway.inbound", metric.WithUnit("s"),
		metric.WithDescription("Time until an inbound event was durable, by channel and result."))
	m.outbound, errs[2] = meter.Float64Histogram("omni.gateway.outbound", metric.WithUnit("s"),
		metric.WithDescription("Time of an operation on a platform, by channel, operation and result."))
	m.panics, errs[3] = meter.Int64Counter("omni.gateway.panics", metric.WithDescription("Panics in channels."))
	return &m, errors.Join(errs[:]...)
}

func (m *metrics) received(ctx context.Context, channel, result string, took time.Duration) {
	m.inbound.Record(ctx, took.Seconds(), metric.WithAttributes(attribute.String("channel", channel), attribute.String("result", result)))
}

func (m *metrics) sent(ctx context.Context, channel string, op channels.Operation, reply channels.Reply, took time.Duration) {
	result := "sent"
	if reply.Error != nil {
		result = string(reply.Error.Kind)
	}
	m.outbound.Record(ctx, took.Seconds(), metric.WithAttributes(attribute.String("channel", channel),
		attribute.String("operation", string(op)), attribute.String("result", result)))
}

func (m *metrics) panicked(channel string) {
	m.panics.Add(context.Background(), 1, metric.WithAttributes(attribute.String("channel", channel)))
}
