package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"

	"github.com/omnihub/omni/internal/bus"
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
	// Record writes a batch, and the floor where it is not 0, in one
	// transaction. What was recorded before is not written again.
	Record(ctx context.Context, batch []omni.Envelope, floor uint64) error
	RecordPoison(ctx context.Context, p store.Poison, floor uint64) error
	RaiseFloor(ctx context.Context, floor uint64) error
	Floor(ctx context.Context) (uint64, error)
	Ping(ctx context.Context) error
	Lead(ctx context.Context, name string, onError func(error), fn func(context.Context) error) error
	HasLeader(ctx context.Context, name string) (bool, error)
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
// committed, and the floor says up to where everything is.
type Recorder struct {
	deps   RecorderDeps
	tracer trace.Tracer
	cancel context.CancelFunc
	done   chan struct{}

	mu      sync.Mutex
	leading bool
	trouble error // of the last attempt to record, nil once one worked
}

// NewRecorder makes a recorder that Start sets going.
func NewRecorder(deps RecorderDeps) *Recorder {
	return &Recorder{deps: deps, done: make(chan struct{}), tracer: tracerOr(deps.Tracer)}
}

func tracerOr(t trace.Tracer) trace.Tracer {
	if t == nil {
		return otel.Tracer("github.com/omnihub/omni/workers/ingest")
	}
	return t
}

// Start begins to compete for the lead.
func (r *Recorder) Start(ctx context.Context) error {
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	r.cancel = cancel
	go func() {
		defer close(r.done)
		_ = r.deps.Store.Lead(run, recorderName, r.report, r.lead)
	}()
	return nil
}

// Stop ends the recorder and waits for the batch under way.
func (r *Recorder) Stop(ctx context.Context) error {
	if r.cancel == nil {
		return nil
	}
	r.cancel()
	select {
	case <-r.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stopping the recorder: %w", ctx.Err())
	}
}

// Health reports why what arrives now might not be recorded.
func (r *Recorder) Health(ctx context.Context) error {
	r.mu.Lock()
	leading, trouble := r.leading, r.trouble
	r.mu.Unlock()
	if trouble != nil {
		return fmt.Errorf("recording: %w", trouble)
	}
	if leading {
		return nil
	}
	has, err := r.deps.Store.HasLeader(ctx, recorderName)
	if err == nil && !has {
		err = errors.New("no recorder is active")
	}
	return err
}

func (r *Recorder) report(err error) {
	r.deps.Log.Error("recorder interrupted", "error", err)
	r.setTrouble(err)
}

func (r *Recorder) setTrouble(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.trouble = err
}

func (r *Recorder) setLeading(leading bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.leading = leading
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
	r.setTrouble(nil)
	r.setLeading(true)
	defer r.setLeading(false)
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
	in := feed(it, t.deps.Bus.Conn().IsConnected, func(jetstream.Msg) {})
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
