package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/omnihub/omni/internal/omni"
)

const headerTraceparent = "traceparent"

// PublishInbound stores the envelope on stream CHANNEL and returns when the
// stream has it, with its sequence. duplicate says that the stream knew the
// event already (within InboundWindow); then the sequence is the first one's.
// An error means that the event may or may not be stored: publish it again.
func (b *Bus) PublishInbound(ctx context.Context, e *omni.Envelope) (seq uint64, duplicate bool, err error) {
	payload, err := omni.InboundCloudEvent(e)
	if err != nil {
		return 0, false, err
	}
	msg := nats.NewMsg(inboundSubject(e))
	msg.Data = payload
	msg.Header.Set(jetstream.MsgIDHeader, e.InstanceID.String()+"/"+e.ExternalKey())
	if e.Traceparent != "" {
		msg.Header.Set(headerTraceparent, e.Traceparent)
	}
	ack, err := b.js.PublishMsg(ctx, msg)
	if err != nil {
		return 0, false, fmt.Errorf("publishing event %s: %w", e.MessageID, err)
	}
	return ack.Sequence, ack.Duplicate, nil
}

// RepublishInbound stores an inbound event on stream CHANNEL once more, under a
// key of its own: under the event's the stream would know it for a while and
// drop it. The same key within InboundWindow stores it once.
func (b *Bus) RepublishInbound(ctx context.Context, subject string, payload []byte, key string) error {
	if !strings.HasPrefix(subject, string(omni.EventChannelInbound)+".") {
		return fmt.Errorf("publishing an inbound event again: subject %q is not of one", subject)
	}
	msg := nats.NewMsg(subject)
	msg.Data = payload
	msg.Header.Set(jetstream.MsgIDHeader, key)
	if _, err := b.js.PublishMsg(ctx, msg); err != nil {
		return fmt.Errorf("publishing an inbound event again: %w", err)
	}
	return nil
}

// OutgoingEvent is an event of the log with its CloudEvent form, marshalled
// once for every reader.
type OutgoingEvent struct {
	Event   *omni.Event
	Payload []byte
}

// PublishEvents puts a batch on the streams of its types and returns when all
// of it is stored. Events of types without a stream, and events too large for
// the server, are left out: they stay in the log. An error means that some may
// be missing: publish the batch again, what is there is dropped by its id.
func (b *Bus) PublishEvents(ctx context.Context, batch []OutgoingEvent) error {
	futures := make([]jetstream.PubAckFuture, 0, len(batch))
	for _, out := range batch {
		if _, ok := StreamOf(out.Event.Type); !ok {
			b.log.WarnContext(ctx, "event type has no stream", "type", out.Event.Type, "event_id", out.Event.ID)
			continue
		}
		msg := nats.NewMsg(EventSubject(out.Event))
		msg.Data = out.Payload
		msg.Header.Set(jetstream.MsgIDHeader, out.Event.ID.String())
		if out.Event.Traceparent != "" {
			msg.Header.Set(headerTraceparent, out.Event.Traceparent)
		}
		future, err := b.js.PublishMsgAsync(msg)
		if errors.Is(err, nats.ErrMaxPayload) {
			b.log.ErrorContext(ctx, "event is larger than the server takes", "type", out.Event.Type,
				"event_id", out.Event.ID, "bytes", len(out.Payload))
			continue
		}
		if err != nil {
			return fmt.Errorf("publishing event %s: %w", out.Event.ID, err)
		}
		futures = append(futures, future)
	}
	err := awaitAcks(ctx, futures)
	if errors.Is(err, jetstream.ErrNoStreamResponse) {
		// Somebody removed a stream; it can be refilled from the log.
		if e := b.EnsureTopology(ctx); e != nil {
			b.log.ErrorContext(ctx, "a stream is missing", "error", e)
		}
	}
	return err
}

func awaitAcks(ctx context.Context, futures []jetstream.PubAckFuture) error {
	for _, f := range futures {
		select {
		case <-f.Ok():
		case err := <-f.Err():
			return fmt.Errorf("publishing an event on %s: %w", f.Msg().Subject, err)
		case <-ctx.Done():
			return fmt.Errorf("publishing an event on %s: %w", f.Msg().Subject, ctx.Err())
		}
	}
	return nil
}
