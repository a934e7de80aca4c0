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

// DecodeInbound reads one message of stream CHANNEL. Foreign programs may
// write there too, so what comes out has been through Clean, and its id must
// be the one that follows from its content. An error means poison: it will
// never be readable.
func DecodeInbound(payload []byte, header nats.Header, seq uint64) (*omni.Envelope, error) {
	e, err := omni.ParseInbound(payload)
	if err != nil {
		return nil, err
	}
	if tp := header.Get(headerTraceparent); tp != "" {
		e.Traceparent = tp
	}
	if err := Clean(e); err != nil {
		return nil, err
	}
	if want := omni.MessageID(e.InstanceID, e.ExternalKey()); e.MessageID != want {
		return nil, fmt.Errorf("reading an inbound event: message id %s does not follow from its content", e.MessageID)
	}
	e.Seq = seq
	return e, nil
}

// GetInbound reads the inbound event at a sequence of stream CHANNEL.
// ErrNotFound where the stream has forgotten it, or holds something else there.
func (b *Bus) GetInbound(ctx context.Context, seq uint64) (*omni.Envelope, error) {
	stream, err := b.channelStream(ctx)
	if err != nil {
		return nil, err
	}
	raw, err := stream.GetMsg(ctx, seq)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, fmt.Errorf("reading event %d of %s: %w", seq, StreamChannel, ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("reading event %d of %s: %w", seq, StreamChannel, err)
	}
	if !strings.HasPrefix(raw.Subject, string(omni.EventChannelInbound)+".") {
		return nil, fmt.Errorf("reading event %d of %s: %w", seq, StreamChannel, ErrNotFound)
	}
	return DecodeInbound(raw.Data, raw.Header, raw.Sequence)
}

// ReadInbound calls fn, in order, with every message of inbound events whose
// sequence is in (after, upTo], past any consumer's place. fn's error ends it.
func (b *Bus) ReadInbound(ctx context.Context, after, upTo uint64, fn func(jetstream.Msg) error) error {
	if after >= upTo {
		return nil
	}
	reader, err := b.js.OrderedConsumer(ctx, StreamChannel, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{string(omni.EventChannelInbound) + ".*.*.*"},
		DeliverPolicy:  jetstream.DeliverByStartSequencePolicy, OptStartSeq: after + 1,
	})
	if err != nil {
		return fmt.Errorf("reading %s from %d: %w", StreamChannel, after+1, err)
	}
	info, err := reader.Info(ctx)
	if err != nil {
		return fmt.Errorf("reading %s from %d: %w", StreamChannel, after+1, err)
	}
	if info.NumPending == 0 {
		return nil
	}
	it, err := reader.Messages()
	if err != nil {
		return fmt.Errorf("reading %s from %d: %w", StreamChannel, after+1, err)
	}
	defer it.Stop()
	for {
		msg, err := it.Next(jetstream.NextContext(ctx))
		if err != nil {
			return fmt.Errorf("reading %s from %d: %w", StreamChannel, after+1, err)
		}
		meta, err := msg.Metadata()
		if err != nil {
			return fmt.Errorf("reading %s from %d: %w", StreamChannel, after+1, err)
		}
		if meta.Sequence.Stream > upTo {
			return nil
		}
		if err := fn(msg); err != nil {
			return err
		}
		if meta.NumPending == 0 || meta.Sequence.Stream == upTo {
			return nil
		}
	}
}

// channelStream is a handle only: it costs no request after the first.
func (b *Bus) channelStream(ctx context.Context) (jetstream.Stream, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.channel != nil {
		return b.channel, nil
	}
	stream, err := b.js.Stream(ctx, StreamChannel)
	if err != nil {
		return nil, fmt.Errorf("opening stream %s: %w", StreamChannel, err)
	}
	b.channel = stream
	return stream, nil
}
