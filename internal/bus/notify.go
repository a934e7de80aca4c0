package bus

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
)

// Notifications hurry others on; none of them is the truth. A lost one costs
// the time until somebody looks again.

// Announce says that an instance was created, changed, deleted, connected or
// disconnected: caches forget it, gateways look at it at once.
func (b *Bus) Announce(_ context.Context, instanceID uuid.UUID) error {
	return b.notify(subjectInstanceChanged, []byte(instanceID.String()))
}

// OnInstanceChanged calls fn, one at a time, for every announced instance of
// any process, this one included, until stop is called.
func (b *Bus) OnInstanceChanged(fn func(instanceID uuid.UUID)) (stop func(), err error) {
	return b.onInstance(subjectInstanceChanged, fn)
}

// RequestRestart asks the gateway that owns the instance to close its session
// and open a new one.
func (b *Bus) RequestRestart(_ context.Context, instanceID uuid.UUID) error {
	return b.notify(subjectInstanceRestart, []byte(instanceID.String()))
}

// OnRestartRequest calls fn, one at a time, for every such request.
func (b *Bus) OnRestartRequest(fn func(instanceID uuid.UUID)) (stop func(), err error) {
	return b.onInstance(subjectInstanceRestart, fn)
}

// Broadcast is the best-effort fan-out of a channel's topic to every process.
func (b *Bus) Broadcast(_ context.Context, instanceID, topic string, data []byte) error {
	return b.notify(LiveSubject(instanceID, topic), data)
}

// Listen calls fn, one at a time, with what is broadcast, until stop is called.
func (b *Bus) Listen(instanceID, topic string, fn func(data []byte)) (stop func(), err error) {
	return b.subscribe(LiveSubject(instanceID, topic), func(m *nats.Msg) { fn(m.Data) })
}

// AnnounceLog says that the event log has grown, for any tenant: whoever
// follows it live reads on.
func (b *Bus) AnnounceLog(context.Context) error { return b.notify(subjectLog, nil) }

// OnLog calls fn, one at a time, whenever the event log has grown, until stop
// is called.
func (b *Bus) OnLog(fn func()) (stop func(), err error) {
	return b.subscribe(subjectLog, func(*nats.Msg) { fn() })
}

const timeFormat = time.RFC3339Nano

func (b *Bus) notify(subject string, data []byte) error {
	if err := b.conn.Publish(subject, data); err != nil {
		return fmt.Errorf("publishing on %s: %w", subject, err)
	}
	return nil
}

func (b *Bus) onInstance(subject string, fn func(uuid.UUID)) (func(), error) {
	return b.subscribe(subject, func(m *nats.Msg) {
		id, err := uuid.ParseBytes(m.Data)
		if err != nil {
			b.log.Warn("unreadable notification", "subject", subject, "error", err)
			return
		}
		fn(id)
	})
}

func (b *Bus) subscribe(subject string, fn func(*nats.Msg)) (stop func(), err error) {
	sub, err := b.conn.Subscribe(subject, fn)
	if err != nil {
		return nil, fmt.Errorf("subscribing to %s: %w", subject, err)
	}
	return func() { _ = sub.Unsubscribe() }, nil
}
