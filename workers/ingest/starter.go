package ingest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/bus"
	"github.com/omnihub/omni/internal/lifecycle"
	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/store"
	"github.com/omnihub/omni/internal/telemetry"
	"github.com/omnihub/omni/workflows"
)

const (
	defaultStarters = 48
	starterQueue    = 1 // messages that wait for one worker
	// starterAhead is small because what is taken waits for a place in the
	// pipeline, and comes again if that takes longer than the consumer waits.
	starterAhead  = 32
	startTimeout  = 15 * time.Second
	startRetryMin = 250 * time.Millisecond
	startRetryMax = 4 * time.Second
)

// Engine begins workflows; *durable.Engine is one. A message whose workflow
// exists already, running or ended, is no error.
type Engine interface {
	StartMessage(ctx context.Context, in workflows.MessageInput) error
}

// Instances finds an instance; *store.InstanceCache is one.
type Instances interface {
	Get(ctx context.Context, id uuid.UUID) (*omni.Instance, error)
}

// OwnRecorder records what the account itself wrote; *store.Store is one.
type OwnRecorder interface {
	// RecordOwn records the message unless it is one of our own sends come
	// back. With takeover > 0 the operator has the chat for that long.
	RecordOwn(ctx context.Context, e *omni.Envelope, takeover time.Duration) (omni.OwnMessage, error)
	RecordPoison(ctx context.Context, p store.Poison, floor uint64) error
}

// StarterDeps is what a starter is handed.
type StarterDeps struct {
	Engine      Engine
	Instances   Instances
	Own         OwnRecorder
	Bus         *bus.Bus
	Log         *slog.Logger
	Metrics     *telemetry.Metrics // nil: none
	Tracer      trace.Tracer       // nil: the global one
	Concurrency int                // starts under way at once; 0: 48
}

// Starter begins one workflow for each inbound message, and acknowledges it
// once the workflow exists. Several may run beside each other. Messages of a
// chat are started in their order as long as nothing fails; the order that
// counts is the sequence in the workflow's input.
type Starter struct {
	*lifecycle.Loop // its trouble is that of the last attempt to start

	deps   StarterDeps
	tracer trace.Tracer
}

// NewStarter makes a starter that Start sets going. Stop waits for the starts
// under way; what was only taken is given back.
func NewStarter(deps StarterDeps) *Starter {
	if deps.Concurrency <= 0 {
		deps.Concurrency = defaultStarters
	}
	s := &Starter{deps: deps, tracer: tracerOr(deps.Tracer)}
	s.Loop = lifecycle.NewLoop("starter", s.run)
	return s
}

// run takes messages until ctx ends.
func (s *Starter) run(ctx context.Context) {
	for attempt := uint64(1); ctx.Err() == nil; attempt++ {
		began := time.Now()
		err := s.follow(ctx)
		if ctx.Err() != nil {
			return
		}
		s.SetTrouble(err)
		s.deps.Log.Error("starter interrupted", "error", err)
		if time.Since(began) > time.Minute {
			attempt = 1
		}
		sleep(ctx, backoff(attempt, startRetryMin, startRetryMax))
	}
}

// follow hands what the consumer delivers to the workers until ctx ends.
func (s *Starter) follow(ctx context.Context) error {
	consumer, err := s.deps.Bus.Consumer(ctx, bus.ConsumerStarter)
	if err != nil {
		return err
	}
	it, err := consumer.Messages(jetstream.PullMaxMessages(starterAhead))
	if err != nil {
		return fmt.Errorf("reading from consumer %s: %w", bus.ConsumerStarter, err)
	}
	in := feed(it, starterAhead, s.deps.Bus.Conn().IsConnected, func(msg jetstream.Msg) { _ = msg.Nak() }) // for another starter, at once
	defer in.stop()
	var workers sync.WaitGroup
	queues := make([]chan *item, s.deps.Concurrency)
	for i := range queues {
		queues[i] = make(chan *item, starterQueue)
		workers.Go(func() { s.work(ctx, queues[i]) })
	}
	defer func() {
		for _, q := range queues {
			close(q)
		}
		workers.Wait()
	}()
	s.SetTrouble(nil)
	for {
		batch, err := in.batch(ctx, starterAhead)
		if err != nil {
			return fmt.Errorf("reading from consumer %s: %w", bus.ConsumerStarter, err)
		}
		for _, msg := range batch {
			it, err := newItem(msg)
			if err != nil {
				return err
			}
			queues[s.worker(it)] <- it
		}
	}
}

// worker is the same for all messages of a chat.
func (s *Starter) worker(it *item) int {
	if it.env == nil {
		return 0
	}
	chat := it.env.ChatID()
	return int(binary.BigEndian.Uint32(chat[:4]) % uint32(s.deps.Concurrency)) //nolint:gosec // small
}

func (s *Starter) work(ctx context.Context, queue <-chan *item) {
	for it := range queue {
		if ctx.Err() != nil {
			s.settle(it, it.msg.Nak()) // for another starter, at once
			continue
		}
		err := s.handle(ctx, it)
		if errors.Is(err, errSendUnderWay) {
			s.settle(it, it.msg.NakWithDelay(ownAgain))
			continue
		}
		if err != nil {
			s.SetTrouble(err)
			s.deps.Log.WarnContext(ctx, "workflow not started", "seq", it.seq, "try", it.tries, "error", err)
			s.settle(it, it.msg.NakWithDelay(backoff(it.tries, startRetryMin, startRetryMax)))
			continue
		}
		s.settle(it, it.msg.Ack())
	}
}

func (s *Starter) settle(it *item, err error) {
	if err != nil {
		s.deps.Log.Warn("event not acknowledged", "seq", it.seq, "error", err)
	}
}

// handle starts what has to be started. A panic leaves the event unacknowledged.
func (s *Starter) handle(ctx context.Context, it *item) (err error) {
	defer func() {
		if p := recover(); p != nil {
			s.deps.Metrics.Panic(ctx, "starter")
			caught := newPanicError(p)
			s.deps.Log.ErrorContext(ctx, "starting panicked", "seq", it.seq, "panic", caught.value, "stack", caught.stack)
			err = caught
		}
	}()
	if it.failure != nil {
		return nil // poison: the recorder keeps it as a dead letter
	}
	if ownMessage(it.env) {
		return s.own(ctx, it)
	}
	begins, err := s.begins(ctx, it.env)
	if err != nil || !begins {
		return err
	}
	// What is begun is finished, also when the starter has to stop.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), startTimeout)
	defer cancel()
	ctx, span := s.tracer.Start(telemetry.WithTraceparent(ctx, it.env.Traceparent), "ingest.Start",
		trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(attribute.String("omni.message", it.env.MessageID.String())))
	defer span.End()
	began := time.Now()
	err = s.deps.Engine.StartMessage(ctx, messageInput(ctx, it.env))
	s.deps.Metrics.Start(ctx, time.Since(began), err)
	if err != nil {
		span.RecordError(err)
		return err
	}
	s.SetTrouble(nil)
	return nil
}

// begins reports whether an event starts a workflow. Where the recorder, which
// may have seen other settings, thought it does, turn.Sweep finds the message.
func (s *Starter) begins(ctx context.Context, e *omni.Envelope) (bool, error) {
	in := &e.Event
	if in.IsFromMe || in.Kind != message.KindMessage && in.Kind != message.KindReaction {
		return false, nil
	}
	instance, err := s.deps.Instances.Get(ctx, e.InstanceID)
	if errors.Is(err, omni.ErrNotFound) { // deleted since
		return in.Kind == message.KindMessage && !in.Backfill, nil
	}
	if err != nil {
		return false, fmt.Errorf("reading instance %s: %w", e.InstanceID, err)
	}
	return omni.Admit(instance.Settings, e).Begins, nil
}

func messageInput(ctx context.Context, e *omni.Envelope) workflows.MessageInput {
	tp := telemetry.Traceparent(ctx)
	if tp == "" {
		tp = e.Traceparent
	}
	return workflows.MessageInput{
		TenantID: e.TenantID, InstanceID: e.InstanceID, Channel: e.Channel, ChatID: e.ChatID(), MessageID: e.MessageID,
		Kind: string(e.Event.Kind), Seq: e.Seq, ExternalID: e.Event.ID, ReceivedAt: e.ReceivedAt, Traceparent: tp,
		MediaCount: len(e.Event.Content.Media),
	}
}
