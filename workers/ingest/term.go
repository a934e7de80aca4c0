package ingest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sort"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/bus"
	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/telemetry"
)

// errGap says that the consumer gave something to somebody else. The next term
// begins by reading what that was.
var errGap = errors.New("another recorder was given a part of the stream")

// term is one time of being the active recorder.
type term struct {
	*Recorder
	high  uint64          // everything up to here was given to this term, or caught up
	holes map[uint64]bool // of it, what is not recorded
	saved uint64          // the floor in the database
	next  uint64          // the consumer's count of the next delivery
}

// item is one message on its way into the database.
type item struct {
	msg     jetstream.Msg
	seq     uint64
	tries   uint64 // times the consumer delivered it
	env     *omni.Envelope
	failure error // why it cannot be decoded
	left    bool  // not recorded, and not to be acknowledged
}

// catchUp records, past the consumer, what is in (floor, upTo].
func (t *term) catchUp(ctx context.Context, floor, upTo uint64) error {
	var batch []*item
	flush := func() error {
		err := t.record(ctx, batch)
		batch = batch[:0]
		return err
	}
	err := t.deps.Bus.ReadInbound(ctx, floor, upTo, func(msg jetstream.Msg) error {
		it, err := newItem(msg)
		if err != nil {
			return err
		}
		it.tries = 1
		t.high = max(t.high, it.seq)
		batch = append(batch, it)
		if len(batch) < maxBatch {
			return nil
		}
		return flush()
	})
	if err != nil {
		return err
	}
	if err := flush(); err != nil {
		return err
	}
	t.high = max(t.high, upTo)
	return nil
}

// deliver records what the consumer gave, and acknowledges it.
func (t *term) deliver(ctx context.Context, msgs []jetstream.Msg) error {
	batch := make([]*item, 0, len(msgs))
	for _, msg := range msgs {
		it, err := newItem(msg)
		if err != nil {
			return err
		}
		meta, err := msg.Metadata()
		if err != nil {
			return fmt.Errorf("reading the place of a message: %w", err)
		}
		if meta.Sequence.Consumer != t.next {
			return fmt.Errorf("%w: delivery %d where %d was due", errGap, meta.Sequence.Consumer, t.next)
		}
		t.next++
		t.high = max(t.high, it.seq)
		batch = append(batch, it)
	}
	if err := t.record(ctx, batch); err != nil {
		return err
	}
	for _, it := range batch {
		var err error
		if it.left {
			err = it.msg.NakWithDelay(backoff(it.tries, time.Second, time.Minute))
		} else {
			err = it.msg.Ack()
		}
		if err != nil {
			return fmt.Errorf("acknowledging event %d: %w", it.seq, err)
		}
	}
	return nil
}

// record brings a batch into the database: into its tables, or its dead
// letters. Only what panics stays out, as a hole below which the floor stops.
// An error means that ctx ended, or the term has to.
func (t *term) record(ctx context.Context, batch []*item) error {
	if len(batch) == 0 {
		return nil
	}
	sort.SliceStable(batch, func(i, j int) bool { return before(batch[i], batch[j]) })
	var good []*item
	for _, it := range batch {
		delete(t.holes, it.seq)
		switch {
		case it.failure != nil:
			if err := t.bury(ctx, it, it.failure); err != nil {
				return err
			}
		case it.env.Event.Kind == message.KindTyping:
			t.typing(ctx, it)
		case ownMessage(it.env): // the starter's
		default:
			good = append(good, it)
		}
	}
	if err := t.write(ctx, good, t.floor()); err != nil {
		return err
	}
	floor := t.floor()
	if floor <= t.saved {
		return nil
	}
	// Nothing was written that could carry it.
	if err := t.persist(ctx, func() error { return t.deps.Store.RaiseFloor(ctx, floor) }); err != nil {
		return err
	}
	t.saved = floor
	return nil
}

// write records items in one transaction, together with the floor, or, where
// the content of one of them makes that fail, in halves until it is alone.
func (t *term) write(ctx context.Context, items []*item, floor uint64) error {
	if len(items) == 0 {
		return nil
	}
	failure := t.try(ctx, items, floor)
	for attempt := 1; len(items) == 1 && attempt < aloneAttempts && faultOf(failure); attempt++ {
		if !sleep(ctx, retryMin) {
			break
		}
		failure = t.try(ctx, items, floor)
	}
	switch {
	case failure == nil:
		t.saved = max(t.saved, floor)
		t.SetTrouble(nil)
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case len(items) == 1:
		return t.giveUp(ctx, items[0], failure)
	}
	t.deps.Log.WarnContext(ctx, "batch halved", "size", len(items), "error", failure)
	half := len(items) / 2
	if err := t.write(ctx, items[:half], 0); err != nil {
		return err
	}
	return t.write(ctx, items[half:], 0)
}

// faultOf reports a failure that may be another one next time; a panic is not.
func faultOf(failure error) bool {
	var p *panicError
	return failure != nil && !errors.As(failure, &p)
}

// try makes one transaction, again and again while the database is the
// trouble. What it returns is the fault of the items.
func (t *term) try(ctx context.Context, items []*item, floor uint64) error {
	envs := make([]omni.Envelope, len(items))
	for i, it := range items {
		envs[i] = *it.env
	}
	end := t.spans(ctx, items)
	var fault error
	err := t.persist(ctx, func() error {
		began := time.Now()
		err := t.recordOnce(ctx, envs, floor)
		t.deps.Metrics.IngestRecord(ctx, len(envs), time.Since(began), err)
		if err != nil && t.blames(ctx, err) {
			fault = err
			return nil
		}
		return err
	})
	if err == nil {
		err = fault
	}
	end(err)
	return err
}

// spans makes a span of each item of a batch, in the trace of its message.
func (t *term) spans(ctx context.Context, items []*item) (end func(error)) {
	spans := make([]trace.Span, len(items))
	for i, it := range items {
		//nolint:spancheck // what is returned ends them
		_, spans[i] = t.tracer.Start(telemetry.WithTraceparent(ctx, it.env.Traceparent), "ingest.Record",
			trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(attribute.Int("omni.batch", len(items)),
				attribute.String("omni.message", it.env.MessageID.String())))
	}
	return func(err error) {
		for _, span := range spans {
			if err != nil {
				span.RecordError(err)
			}
			span.End()
		}
	}
}

// recordOnce calls the store; a panic becomes an error, counted.
func (t *term) recordOnce(ctx context.Context, envs []omni.Envelope, floor uint64) (err error) {
	defer func() {
		if p := recover(); p != nil {
			t.deps.Metrics.Panic(ctx, recorderName)
			err = newPanicError(p)
		}
	}()
	if err := t.deps.Instances.Admit(ctx, envs); err != nil {
		return err
	}
	return t.deps.Store.Record(ctx, envs, floor)
}

// blames reports whether an error is the items' fault, not the database's.
func (t *term) blames(ctx context.Context, err error) bool {
	if _, ok := errors.AsType[*panicError](err); ok {
		return true
	}
	// What looks like the content's fault may still be a database going away.
	return !transient(err) && t.deps.Store.Ping(ctx) == nil
}

// persist repeats fn until it works or ctx ends.
func (t *term) persist(ctx context.Context, fn func() error) error {
	for attempt := uint64(1); ; attempt++ {
		err := fn()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		t.SetTrouble(err)
		t.deps.Log.WarnContext(ctx, "database in trouble, trying again", "error", err, "attempt", attempt)
		if !sleep(ctx, backoff(attempt, retryMin, retryMax)) {
			return ctx.Err()
		}
	}
}

// giveUp ends with an item that fails alone: a dead letter; but what panics
// may be our own fault and is kept for a better program for a while.
func (t *term) giveUp(ctx context.Context, it *item, failure error) error {
	if p, ok := errors.AsType[*panicError](failure); ok {
		t.deps.Log.ErrorContext(ctx, "recording panicked", "seq", it.seq, "message_id", it.env.MessageID, "panic", p.value, "stack", p.stack)
		if it.tries < maxPanics {
			it.left = true
			t.holes[it.seq] = true
			return nil
		}
	}
	return t.bury(ctx, it, failure)
}

// bury keeps an item as a dead letter.
func (t *term) bury(ctx context.Context, it *item, failure error) error {
	letter, err := newPoison(it, failure)
	if err != nil {
		return err
	}
	t.deps.Log.ErrorContext(ctx, "event cannot be recorded", "seq", it.seq, "dead_letter", letter.ID, "error", failure)
	t.deps.Metrics.DeadLetter(ctx, "ingest.Record")
	return t.persist(ctx, func() error { return t.deps.Store.RecordPoison(ctx, letter, 0) })
}

// typing passes on what is not recorded. Lost is lost.
func (t *term) typing(ctx context.Context, it *item) {
	if it.env.Event.IsFromMe || time.Since(it.env.ReceivedAt) > time.Minute {
		return
	}
	if err := t.deps.Bus.MarkTyping(ctx, it.env); err != nil {
		t.deps.Log.WarnContext(ctx, "typing notice lost", "error", err)
	}
}

// floor is the sequence up to which everything is in the database.
func (t *term) floor() uint64 {
	floor := t.high
	for seq := range t.holes {
		floor = min(floor, seq-1)
	}
	return floor
}

func newItem(msg jetstream.Msg) (*item, error) {
	meta, err := msg.Metadata()
	if err != nil {
		return nil, fmt.Errorf("reading the place of a message: %w", err)
	}
	it := &item{msg: msg, seq: meta.Sequence.Stream, tries: meta.NumDelivered}
	it.env, it.failure = bus.DecodeInbound(msg.Data(), msg.Headers(), it.seq)
	return it, nil
}

// before sorts by chat, then by place in the stream: every writer locks in the
// same order, and an edit comes after what it edits.
func before(a, b *item) bool {
	if a.env == nil || b.env == nil {
		return a.env == nil && b.env != nil
	}
	ca, cb := a.env.ChatID(), b.env.ChatID()
	if c := bytes.Compare(ca[:], cb[:]); c != 0 {
		return c < 0
	}
	return a.seq < b.seq
}
