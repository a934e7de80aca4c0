package telemetry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/otlptranslator"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	otelprom "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// scope names our instruments and spans.
const scope = "github.com/omnihub/omni"

// Options say where telemetry goes. The zero value logs text at info level to
// stderr and keeps spans in the process.
type Options struct {
	Service      string // "omni" if empty
	Version      string
	OTLPEndpoint string // OTEL_EXPORTER_OTLP_ENDPOINT: base URL of a collector; "" exports no spans
	LogLevel     slog.Leveler
	LogFormat    string    // FormatText or FormatJSON
	LogOutput    io.Writer // nil: stderr
	// SpanProcessors see every span, beside the exporter. Tests put an
	// in-memory one here.
	SpanProcessors []sdktrace.SpanProcessor
}

// Telemetry is what Setup made. All fields are set and safe for concurrent use.
type Telemetry struct {
	Log        *slog.Logger
	Tracer     trace.Tracer
	Meter      metric.Meter
	Metrics    *Metrics
	Traces     trace.TracerProvider
	Meters     metric.MeterProvider
	Propagator propagation.TextMapPropagator
	Registry   *prometheus.Registry // for collectors of other libraries

	shutdown []func(context.Context) error
}

// Setup makes logger, tracer and meter. It opens no connection: an exporter
// that cannot reach its collector costs spans, never messages.
func Setup(ctx context.Context, opts Options) (*Telemetry, error) {
	if opts.Service == "" {
		opts.Service = "omni"
	}
	if opts.LogOutput == nil {
		opts.LogOutput = os.Stderr
	}
	if opts.LogLevel == nil {
		opts.LogLevel = slog.LevelInfo
	}
	t := &Telemetry{
		Log:        NewLogger(opts.LogOutput, opts.LogFormat, opts.LogLevel),
		Registry:   prometheus.NewRegistry(),
		Propagator: propagation.TraceContext{},
	}
	res := resource.NewSchemaless(attribute.String("service.name", opts.Service),
		attribute.String("service.version", opts.Version))
	if err := t.setupTraces(ctx, opts, res); err != nil {
		return nil, err
	}
	if err := t.setupMetrics(res); err != nil {
		return nil, errors.Join(err, t.Shutdown(ctx))
	}
	return t, nil
}

func (t *Telemetry) setupTraces(ctx context.Context, opts Options, res *resource.Resource) error {
	provider := []sdktrace.TracerProviderOption{sdktrace.WithResource(res)}
	for _, p := range opts.SpanProcessors {
		provider = append(provider, sdktrace.WithSpanProcessor(p))
	}
	if opts.OTLPEndpoint != "" {
		endpoint, err := url.JoinPath(opts.OTLPEndpoint, "v1", "traces")
		if err != nil {
			return fmt.Errorf("reading OTEL_EXPORTER_OTLP_ENDPOINT: %w", err)
		}
		exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(endpoint))
		if err != nil {
			return fmt.Errorf("opening the OTLP exporter: %w", err)
		}
		provider = append(provider, sdktrace.WithBatcher(exporter))
	}
	if opts.OTLPEndpoint == "" && len(opts.SpanProcessors) == 0 {
		// Nobody looks: trace ids are still made, so that log lines, events
		// and headers carry them, but nothing is collected in a span.
		provider = append(provider, sdktrace.WithSampler(sdktrace.NeverSample()))
	}
	tp := sdktrace.NewTracerProvider(provider...)
	t.Traces, t.Tracer = tp, tp.Tracer(scope)
	t.shutdown = append(t.shutdown, tp.Shutdown)
	return nil
}

func (t *Telemetry) setupMetrics(res *resource.Resource) error {
	t.Registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	// Instruments are named as Prometheus shows them; suffixes would double.
	exporter, err := otelprom.New(otelprom.WithRegisterer(t.Registry), otelprom.WithoutScopeInfo(),
		otelprom.WithTranslationStrategy(otlptranslator.UnderscoreEscapingWithoutSuffixes))
	if err != nil {
		return fmt.Errorf("opening the Prometheus exporter: %w", err)
	}
	mp := sdkmetric.NewMeterProvider(sdkmetric.WithResource(res), sdkmetric.WithReader(exporter))
	t.Meters, t.Meter = mp, mp.Meter(scope)
	t.shutdown = append(t.shutdown, mp.Shutdown)
	t.Metrics, err = NewMetrics(t.Meter)
	return err
}

// MetricsHandler serves the registry in Prometheus' text format.
func (t *Telemetry) MetricsHandler() http.Handler {
	return promhttp.HandlerFor(t.Registry, promhttp.HandlerOpts{Registry: t.Registry})
}

// Shutdown flushes spans and stops the providers, or gives up with the context.
func (t *Telemetry) Shutdown(ctx context.Context) error {
	var errs []error
	for _, stop := range t.shutdown {
		errs = append(errs, stop(ctx))
	}
	t.shutdown = nil
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("flushing telemetry: %w", err)
	}
	return nil
}
