package ingest

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"

	"github.com/omnihub/omni/internal/bus"
	"github.com/omnihub/omni/internal/lifecycle"
	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/store"
	"github.com/omnihub/omni/internal/telemetry"
)

// recorderName is what the one active recorder leads under.
const recorderName = "recorder"

const (
	maxBatch      = 256
	prefetch      = 512
	maxPanics     = 10 // deliveries of an event whose recording panics, before it is a dead letter
	retryMin      = 50 * time.Millisecond
	retryMax      = 2 * time.Second
	aloneAttempts = 3 // of an event alone, before it is a dead letter
)

// RecorderStore is what the recorder needs of the database; *store.Store is one.
type RecorderStore interface {
	lifecycle.Elector
	// Record writes a batch, and the floor where it is not 0, in one
	// transaction. What was recorded before is not written again.
	Record(ctx context.Context, batch []omni.Envelope, floor uint64) error
	RecordPoison(ctx context.Context, p store.Poison, floor uint64) error
	RaiseFloor(ctx context.Context, floor uint64) error
	Floor(ctx context.Context) (uint64, error)
	Ping(ctx context.Context) error
}

// Admitter decides what the settings of instances alone decide;
// *store.InstanceCache does.
type Admitter interface {
	Admit(ctx context.Context, batch []omni.Envelope) error
}

// RecorderDeps is what a recorder is handed.
type RecorderDeps struct {
	Store     RecorderStore
	Instances Admitter
	Bus       *bus.Bus
	Log       *slog.Logger
	Metrics   *telemetry.Metrics // nil: none
	Tracer    trace.Tracer       // nil: the global one
}

// Recorder writes inbound events to Postgres, in the order of the stream. Of
// all processes one at a time is active; a batch is acknowledged once it is
// committed, and the floor says up to where everything is. Its trouble is that
// of the last attempt to record.
type Recorder struct {
	*lifecycle.Leader

	deps   RecorderDeps
	tracer trace.Tracer
}

// NewRecorder makes a recorder that Start sets going; Stop waits for the batch
// under way.
func NewRecorder(deps RecorderDeps) *Recorder {
	r := &Recorder{deps: deps, tracer: tracerOr(deps.Tracer)}
	r.Leader = lifecycle.NewLeader(recorderName, deps.Store, deps.Log, r.lead)
	return r
}

func tracerOr(t trace.Tracer) trace.Tracer {
	if t == nil {
		return otel.Tracer("github.com/omnihub/omni/workers/ingest")
	}
	return t
}

// lead is one term as the active recorder: first what the last one may have
// left, then what comes.
func (r *Recorder) lead(ctx context.Context) error {
	consumer, err := r.deps.Bus.Consumer(ctx, bus.ConsumerRecorder)
	if err != nil {
		return err
	}
	delivered := consumer.CachedInfo().Delivered
	floor, err := r.deps.Store.Floor(ctx)
	if err != nil {
		return err
	}
	t := &term{Recorder: r, high: floor, saved: floor, holes: map[uint64]bool{}, next: delivered.Consumer + 1}
	// What was handed to the last recorder comes again only after a while; it
	// is read past the consumer now, so that the floor leaves nothing out.
	if err := t.catchUp(ctx, floor, delivered.Stream); err != nil {
		return err
	}
	defer r.Lead()()
	r.deps.Log.InfoContext(ctx, "recording", "floor", floor, "delivered", delivered.Stream)
	return t.follow(ctx, consumer)
}

// follow records what the consumer delivers until ctx ends.
func (t *term) follow(ctx context.Context, consumer jetstream.Consumer) error {
	it, err := consumer.Messages(jetstream.PullMaxMessages(prefetch))
	if err != nil {
		return fmt.Errorf("reading from consumer %s: %w", bus.ConsumerRecorder, err)
	}
	// What is left unread is what the next term begins with.
	in := feed(it, maxBatch, t.deps.Bus.Conn().IsConnected, func(jetstream.Msg) {})
	defer in.stop()
	for {
		batch, err := in.batch(ctx, maxBatch)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading from consumer %s: %w", bus.ConsumerRecorder, err)
		}
		if err := t.deliver(ctx, batch); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
	}
}
