package bus

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// EnsureTopology makes what is missing and updates what may change of the
// rest. What an operator may have chosen (replicas, placement, size, age) and
// what cannot change (storage, persistence) stays as it is; consumers keep
// their place. It may run in several processes at once.
func (b *Bus) EnsureTopology(ctx context.Context) error {
	for _, cfg := range streams() {
		if err := b.ensureStream(ctx, cfg); err != nil {
			return fmt.Errorf("making stream %s: %w", cfg.Name, err)
		}
	}
	for _, cfg := range consumers() {
		if err := b.ensureConsumer(ctx, cfg); err != nil {
			return fmt.Errorf("making consumer %s: %w", cfg.Durable, err)
		}
	}
	for _, cfg := range buckets() {
		if err := b.ensureBucket(ctx, cfg); err != nil {
			return fmt.Errorf("making bucket %s: %w", cfg.Bucket, err)
		}
	}
	return nil
}

func (b *Bus) ensureStream(ctx context.Context, cfg jetstream.StreamConfig) error {
	stream, err := b.js.Stream(ctx, cfg.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		_, err = b.js.CreateStream(ctx, cfg)
		if !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			return err
		}
		stream, err = b.js.Stream(ctx, cfg.Name) // another process was faster
	}
	if err != nil {
		return err
	}
	have := stream.CachedInfo().Config
	want := have
	want.Subjects, want.Duplicates, want.Discard, want.AllowDirect = cfg.Subjects, cfg.Duplicates, cfg.Discard, cfg.AllowDirect
	if sameStrings(have.Subjects, want.Subjects) && have.Duplicates == want.Duplicates && have.Discard == want.Discard &&
		have.AllowDirect == want.AllowDirect {
		return nil
	}
	_, err = b.js.UpdateStream(ctx, want)
	return err
}

func (b *Bus) ensureConsumer(ctx context.Context, cfg jetstream.ConsumerConfig) error {
	consumer, err := b.js.Consumer(ctx, StreamChannel, cfg.Durable)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		_, err = b.js.CreateConsumer(ctx, StreamChannel, cfg)
		if !errors.Is(err, jetstream.ErrConsumerExists) {
			return err
		}
		consumer, err = b.js.Consumer(ctx, StreamChannel, cfg.Durable)
	}
	if err != nil {
		return err
	}
	want := consumer.CachedInfo().Config
	if want.AckWait == cfg.AckWait && want.MaxAckPending == cfg.MaxAckPending && want.MaxDeliver == cfg.MaxDeliver &&
		want.FilterSubject == cfg.FilterSubject {
		return nil
	}
	want.AckWait, want.MaxAckPending, want.MaxDeliver, want.FilterSubject = cfg.AckWait, cfg.MaxAckPending, cfg.MaxDeliver, cfg.FilterSubject
	_, err = b.js.UpdateConsumer(ctx, StreamChannel, want)
	return err
}

func (b *Bus) ensureBucket(ctx context.Context, cfg jetstream.KeyValueConfig) error {
	kv, err := b.js.KeyValue(ctx, cfg.Bucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		_, err = b.js.CreateKeyValue(ctx, cfg)
		if !errors.Is(err, jetstream.ErrBucketExists) {
			return err
		}
		kv, err = b.js.KeyValue(ctx, cfg.Bucket)
	}
	if err != nil {
		return err
	}
	status, err := kv.Status(ctx)
	if err != nil || status.TTL() == cfg.TTL {
		return err
	}
	want := status.Config()
	want.TTL = cfg.TTL
	_, err = b.js.UpdateKeyValue(ctx, want)
	return err
}

func sameStrings(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	in := make(map[string]bool, len(a))
	for _, s := range a {
		in[s] = true
	}
	for _, s := range b {
		if !in[s] {
			return false
		}
	}
	return true
}
