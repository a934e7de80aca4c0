package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/omnihub/omni/internal/omni"
)

// ErrNotFound says that the stream no longer (or never) holds what was asked
// for. It is omni.ErrNotFound.
var ErrNotFound = omni.ErrNotFound

const (
	// maxPublishing bounds what is published and not yet acknowledged.
	maxPublishing = 4096
	apiTimeout    = 10 * time.Second
)

// Bus is one process' view of NATS. It is safe for concurrent use.
type Bus struct {
	conn *nats.Conn
	js   jetstream.JetStream
	log  *slog.Logger

	mu      sync.Mutex
	channel jetstream.Stream // handle of CHANNEL, once used

	cancels cancels
}

// Open checks that JetStream answers and brings streams, consumers and buckets
// up to date. The connection stays the caller's.
func Open(ctx context.Context, conn *nats.Conn, log *slog.Logger) (*Bus, error) {
	js, err := jetstream.New(conn, jetstream.WithPublishAsyncMaxPending(maxPublishing),
		jetstream.WithPublishAsyncTimeout(apiTimeout), jetstream.WithDefaultTimeout(apiTimeout))
	if err != nil {
		return nil, fmt.Errorf("opening JetStream: %w", err)
	}
	b := &Bus{conn: conn, js: js, log: log}
	if err := b.EnsureTopology(ctx); err != nil {
		return nil, err
	}
	return b, nil
}

// Conn is the connection, for what serves on it (the gateways' micro-services).
func (b *Bus) Conn() *nats.Conn { return b.conn }

// Ping reports whether NATS and its JetStream answer.
func (b *Bus) Ping(ctx context.Context) error {
	if !b.conn.IsConnected() {
		return errors.New("reaching NATS: not connected")
	}
	if _, err := b.js.AccountInfo(ctx); err != nil {
		return fmt.Errorf("reaching JetStream: %w", err)
	}
	return nil
}

// KV opens one of the declared buckets.
func (b *Bus) KV(ctx context.Context, bucket string) (jetstream.KeyValue, error) {
	kv, err := b.js.KeyValue(ctx, bucket)
	if err != nil {
		return nil, fmt.Errorf("opening bucket %s: %w", bucket, err)
	}
	return kv, nil
}

// Consumer opens one of the declared consumers of stream CHANNEL.
func (b *Bus) Consumer(ctx context.Context, name string) (jetstream.Consumer, error) {
	c, err := b.js.Consumer(ctx, StreamChannel, name)
	if err != nil {
		return nil, fmt.Errorf("opening consumer %s: %w", name, err)
	}
	return c, nil
}
