package ingest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/telemetry"
)

// errSendUnderWay says that nobody can know yet who wrote a message: a send of
// its chat is on its way.
var errSendUnderWay = errors.New("a send of the chat is under way")

// ownAgain is how long such a message waits until it is asked about again.
const ownAgain = 250 * time.Millisecond

// ownMessage reports whether an event is what the account itself wrote: one of
// our sends come back, or the operator's words. It starts no workflow, and the
// recorder leaves it alone: the decision may have to wait, and then nothing
// behind it shall.
func ownMessage(e *omni.Envelope) bool {
	return e.Event.IsFromMe && e.Event.Kind == message.KindMessage
}

// own decides who wrote a message, and records it if the operator did.
func (s *Starter) own(ctx context.Context, it *item) error {
	// What is begun is finished, also when the starter has to stop.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), startTimeout)
	defer cancel()
	ctx, span := s.tracer.Start(telemetry.WithTraceparent(ctx, it.env.Traceparent), "ingest.Own",
		trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(attribute.String("omni.message", it.env.MessageID.String())))
	defer span.End()
	takeover, err := s.takeover(ctx, it.env)
	if err != nil {
		span.RecordError(err)
		return err
	}
	own, err := s.deps.Own.RecordOwn(ctx, it.env, takeover)
	if err != nil {
		span.RecordError(err)
		return s.notRecorded(ctx, it, err)
	}
	s.SetTrouble(nil)
	if own.State == omni.OwnMessageWait {
		return errSendUnderWay
	}
	for _, turn := range own.Cancelled {
		// The row has decided; this only hurries whoever makes the call.
		if err := s.deps.Bus.PublishCancel(ctx, turn); err != nil {
			s.deps.Log.WarnContext(ctx, "hurrying a cancelled turn", "turn_id", turn, "error", err)
		}
	}
	return nil
}

// takeover is for how long an operator who writes has the chat.
func (s *Starter) takeover(ctx context.Context, e *omni.Envelope) (time.Duration, error) {
	instance, err := s.deps.Instances.Get(ctx, e.InstanceID)
	if errors.Is(err, omni.ErrNotFound) {
		return 0, nil // deleted since
	}
	if err != nil {
		return 0, fmt.Errorf("reading instance %s: %w", e.InstanceID, err)
	}
	return time.Duration(instance.Settings.Messaging.TakeoverOnOwnMessageSeconds) * time.Second, nil
}

// notRecorded keeps as a dead letter what fails for its content.
func (s *Starter) notRecorded(ctx context.Context, it *item, failure error) error {
	if transient(failure) || it.tries < aloneAttempts {
		return failure
	}
	letter, err := newPoison(it, failure)
	if err != nil {
		return err
	}
	s.deps.Log.ErrorContext(ctx, "event cannot be recorded", "seq", it.seq, "dead_letter", letter.ID, "error", failure)
	s.deps.Metrics.DeadLetter(ctx, "ingest.Own")
	return s.deps.Own.RecordPoison(ctx, letter, 0)
}
