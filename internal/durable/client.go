package durable

import (
	"context"
	"fmt"
	"log/slog"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/opentelemetry"
	"go.temporal.io/sdk/interceptor"
	sdklog "go.temporal.io/sdk/log"
)

// ClientConfig says how to reach Temporal. A nil Tracer or Meter leaves that
// kind of telemetry out.
type ClientConfig struct {
	Address   string // host:port
	Namespace string
	Log       *slog.Logger
	Tracer    trace.Tracer
	Meter     metric.Meter
}

// Dial connects to Temporal and checks that it answers.
func Dial(ctx context.Context, cfg ClientConfig) (client.Client, error) {
	opts := client.Options{HostPort: cfg.Address, Namespace: cfg.Namespace, Logger: sdklog.NewStructuredLogger(cfg.Log)}
	// What we say is short: packing it costs more than sending it.
	opts.ConnectionOptions.GrpcCompression = &client.GrpcCompressionNone{}
	if cfg.Tracer != nil {
		tracing, err := opentelemetry.NewTracingInterceptor(opentelemetry.TracerOptions{Tracer: cfg.Tracer})
		if err != nil {
			return nil, fmt.Errorf("making the tracing interceptor: %w", err)
		}
		opts.Interceptors = append(opts.Interceptors, interceptor.ClientInterceptor(tracing))
	}
	if cfg.Meter != nil {
		opts.MetricsHandler = opentelemetry.NewMetricsHandler(opentelemetry.MetricsHandlerOptions{Meter: cfg.Meter})
	}
	c, err := client.DialContext(ctx, opts)
	if err != nil {
		return nil, fmt.Errorf("reaching Temporal at %s: %w", cfg.Address, err)
	}
	return c, nil
}
