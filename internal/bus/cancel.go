package bus

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
)

// cancels are the calls under way in this process, by turn. One subscription
// hears for all of them: to subscribe for each call would cost more than most
// calls of a quick agent.
type cancels struct {
	mu    sync.Mutex
	sub   *nats.Subscription
	calls map[uuid.UUID]map[*func()]struct{}
}

// PublishCancel tells the process that runs a turn's call to stop it at once.
func (b *Bus) PublishCancel(_ context.Context, turnID uuid.UUID) error {
	return b.notify(turnCancelSubject(turnID), nil)
}

// OnCancel calls fn when the turn is cancelled, until stop is called. fn must
// not block.
func (b *Bus) OnCancel(turnID uuid.UUID, fn func()) (stop func(), err error) {
	c := &b.cancels
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sub == nil {
		sub, err := b.conn.Subscribe(turnCancelSubjects, func(m *nats.Msg) { c.cancel(m.Subject) })
		if err != nil {
			return nil, err
		}
		c.sub, c.calls = sub, map[uuid.UUID]map[*func()]struct{}{}
	}
	if c.calls[turnID] == nil {
		c.calls[turnID] = map[*func()]struct{}{}
	}
	c.calls[turnID][&fn] = struct{}{}
	return func() { c.forget(turnID, &fn) }, nil
}

// OnAnyCancel calls fn for each turn that is cancelled, in one of the processes
// that ask for it with the same group, until stop is called. fn must not block.
func (b *Bus) OnAnyCancel(group string, fn func(turnID uuid.UUID)) (stop func(), err error) {
	sub, err := b.conn.QueueSubscribe(turnCancelSubjects, group, func(m *nats.Msg) {
		if id, ok := cancelledTurn(m.Subject); ok {
			fn(id)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("listening for cancelled turns: %w", err)
	}
	return func() { _ = sub.Unsubscribe() }, nil
}

func cancelledTurn(subject string) (uuid.UUID, bool) {
	id, err := uuid.Parse(strings.TrimSuffix(strings.TrimPrefix(subject, "turn."), ".cancel"))
	return id, err == nil // or it is somebody else's subject
}

func (c *cancels) forget(turnID uuid.UUID, fn *func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.calls[turnID], fn)
	if len(c.calls[turnID]) == 0 {
		delete(c.calls, turnID)
	}
}

func (c *cancels) cancel(subject string) {
	id, ok := cancelledTurn(subject)
	if !ok {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for fn := range c.calls[id] {
		(*fn)()
	}
}
