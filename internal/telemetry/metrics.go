package telemetry

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// Metrics are the hub's instruments: one per hop of a message's way. A nil
// *Metrics measures nothing, so that tests and small programs need none.
type Metrics struct {
	ingestPublished metric.Int64Counter
	ingestRecorded  metric.Int64Counter
	ingestRecord    metric.Float64Histogram
	start           metric.Float64Histogram
	step            metric.Float64Histogram
	agent           metric.Float64Histogram
	agentTokens     metric.Int64Counter
	agentCost       metric.Float64Counter
	deliver         metric.Float64Histogram
	replyLatency    metric.Float64Histogram
	eventsRelayed   metric.Int64Counter
	panics          metric.Int64Counter
	deadLetters     metric.Int64Counter
	accessDecisions metric.Int64Counter
}

// Bounds in seconds. Steps take milliseconds, agents up to minutes.
var (
	fastBounds = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
	slowBounds = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 900}
)

// NewMetrics declares every instrument on the meter.
func NewMetrics(meter metric.Meter) (*Metrics, error) {
	b := builder{meter: meter}
	m := &Metrics{
		ingestPublished: b.counter("omni_ingest_published_total", "events from platforms, synced to the stream CHANNEL"),
		ingestRecorded:  b.counter("omni_ingest_recorded_total", "events written to Postgres by the recorder"),
		ingestRecord:    b.seconds("omni_ingest_record_seconds", "one batch of the recorder, until committed", fastBounds),
		start:           b.seconds("omni_start_seconds", "one start of a message workflow", fastBounds),
		step:            b.seconds("omni_step_seconds", "one attempt of a pipeline step", slowBounds),
		agent:           b.seconds("omni_agent_seconds", "one call of an agent", slowBounds),
		agentTokens:     b.counter("omni_agent_tokens_total", "tokens that agents' calls took, by direction"),
		agentCost:       b.amount("omni_agent_cost_total", "what agents' calls cost, by currency, where the price is known"),
		deliver:         b.seconds("omni_deliver_seconds", "one part handed to a channel, until its receipt", slowBounds),
		replyLatency:    b.seconds("omni_reply_latency_seconds", "from the platform's event to the last part's receipt", slowBounds),
		eventsRelayed:   b.counter("omni_events_relayed_total", "events of the log published to the streams"),
		panics:          b.counter("omni_panics_total", "panics caught, by where"),
		deadLetters:     b.counter("omni_dead_letters_total", "inputs given up on, by step"),
		accessDecisions: b.counter("omni_access_decisions_total", "messages decided about by access control, by decision"),
	}
	return m, b.err
}

// builder declares instruments and keeps the first error.
type builder struct {
	meter metric.Meter
	err   error
}

func (b *builder) counter(name, doc string) metric.Int64Counter {
	c, err := b.meter.Int64Counter(name, metric.WithDescription(doc))
	b.keep(name, err)
	return c
}

func (b *builder) amount(name, doc string) metric.Float64Counter {
	c, err := b.meter.Float64Counter(name, metric.WithDescription(doc))
	b.keep(name, err)
	return c
}

func (b *builder) seconds(name, doc string, bounds []float64) metric.Float64Histogram {
	h, err := b.meter.Float64Histogram(name, metric.WithDescription(doc), metric.WithUnit("s"),
		metric.WithExplicitBucketBoundaries(bounds...))
	b.keep(name, err)
	return h
}

func (b *builder) keep(name string, err error) {
	if err != nil && b.err == nil {
		b.err = fmt.Errorf("declaring the instrument %s: %w", name, err)
	}
}

// IngestPublished counts one event that the stream CHANNEL has synced.
func (m *Metrics) IngestPublished(ctx context.Context, channel string, duplicate bool) {
	if m == nil {
		return
	}
	m.ingestPublished.Add(ctx, 1, metric.WithAttributeSet(attribute.NewSet(
		attribute.String("channel", channel), attribute.Bool("duplicate", duplicate))))
}

// IngestRecord measures one batch of n events, written or failed.
func (m *Metrics) IngestRecord(ctx context.Context, n int, took time.Duration, err error) {
	if m == nil {
		return
	}
	set := metric.WithAttributeSet(attribute.NewSet(attribute.String("outcome", outcome(err))))
	m.ingestRecord.Record(ctx, took.Seconds(), set)
	m.ingestRecorded.Add(ctx, int64(n), set)
}

// Start measures one start of a message workflow.
func (m *Metrics) Start(ctx context.Context, took time.Duration, err error) {
	if m == nil {
		return
	}
	m.start.Record(ctx, took.Seconds(), metric.WithAttributeSet(attribute.NewSet(attribute.String("outcome", outcome(err)))))
}

// Step measures one attempt of a pipeline step, named as in the trace.
func (m *Metrics) Step(ctx context.Context, step string, took time.Duration, err error) {
	if m == nil {
		return
	}
	m.step.Record(ctx, took.Seconds(), metric.WithAttributeSet(attribute.NewSet(
		attribute.String("step", step), attribute.String("outcome", outcome(err)))))
}

// Agent measures one call of an agent. The outcome is "ok" or an error's kind.
func (m *Metrics) Agent(ctx context.Context, provider, outcome string, took time.Duration) {
	if m == nil {
		return
	}
	m.agent.Record(ctx, took.Seconds(), metric.WithAttributeSet(attribute.NewSet(
		attribute.String("provider", provider), attribute.String("outcome", outcome))))
}

// AgentTokens counts what a call of an agent took. The names of models must be
// few: those of the price table.
func (m *Metrics) AgentTokens(ctx context.Context, provider, model string, in, out int) {
	if m == nil {
		return
	}
	for direction, n := range map[string]int{"input": in, "output": out} {
		m.agentTokens.Add(ctx, int64(n), metric.WithAttributeSet(attribute.NewSet(attribute.String("provider", provider),
			attribute.String("model", model), attribute.String("direction", direction))))
	}
}

// AgentCost counts what a call of an agent cost.
func (m *Metrics) AgentCost(ctx context.Context, provider, model, currency string, amount float64) {
	if m == nil {
		return
	}
	m.agentCost.Add(ctx, amount, metric.WithAttributeSet(attribute.NewSet(attribute.String("provider", provider),
		attribute.String("model", model), attribute.String("currency", currency))))
}

// Deliver measures one part handed to a channel. The outcome is the part's
// status afterwards.
func (m *Metrics) Deliver(ctx context.Context, channel, outcome string, took time.Duration) {
	if m == nil {
		return
	}
	m.deliver.Record(ctx, took.Seconds(), metric.WithAttributeSet(attribute.NewSet(
		attribute.String("channel", channel), attribute.String("outcome", outcome))))
}

// ReplyLatency measures from the platform's event to the last part's receipt.
func (m *Metrics) ReplyLatency(ctx context.Context, channel string, took time.Duration) {
	if m == nil {
		return
	}
	m.replyLatency.Record(ctx, took.Seconds(), metric.WithAttributeSet(attribute.NewSet(
		attribute.String("channel", channel))))
}

// EventsRelayed counts n events published to the streams.
func (m *Metrics) EventsRelayed(ctx context.Context, n int) {
	if m == nil {
		return
	}
	m.eventsRelayed.Add(ctx, int64(n))
}

// Panic counts a panic that was caught at a place ("gateway", "recorder", …).
func (m *Metrics) Panic(ctx context.Context, where string) {
	if m == nil {
		return
	}
	m.panics.Add(ctx, 1, metric.WithAttributeSet(attribute.NewSet(attribute.String("where", where))))
}

// AccessDecision counts a message that access control has decided about: by a
// rule, or by the mode of its instance where none applied.
func (m *Metrics) AccessDecision(ctx context.Context, channel, decision string, byRule bool) {
	if m == nil {
		return
	}
	by := "mode"
	if byRule {
		by = "rule"
	}
	m.accessDecisions.Add(ctx, 1, metric.WithAttributeSet(attribute.NewSet(
		attribute.String("channel", channel), attribute.String("decision", decision), attribute.String("by", by))))
}

// DeadLetter counts an input that was given up on in a step.
func (m *Metrics) DeadLetter(ctx context.Context, step string) {
	if m == nil {
		return
	}
	m.deadLetters.Add(ctx, 1, metric.WithAttributeSet(attribute.NewSet(attribute.String("step", step))))
}

func outcome(err error) string {
	if err != nil {
		return "error"
	}
	return "ok"
}
