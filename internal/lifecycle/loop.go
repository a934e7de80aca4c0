package lifecycle

import (
	"context"
	"fmt"
	"sync"
)

// Loop is a Service that does one thing in the background until it is stopped,
// and knows what troubles it. Types that embed one are Services themselves.
type Loop struct {
	name   string
	run    func(ctx context.Context)
	cancel context.CancelFunc
	done   chan struct{}

	mutex   sync.Mutex
	trouble error
}

var _ Service = (*Loop)(nil)

// NewLoop makes a loop that Start sets going, once: run works until its ctx
// ends. The name is for errors.
func NewLoop(name string, run func(ctx context.Context)) *Loop {
	return &Loop{name: name, run: run, done: make(chan struct{})}
}

// Start implements Service.
func (l *Loop) Start(ctx context.Context) error {
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	l.cancel = cancel
	go func() {
		defer close(l.done)
		l.run(run)
	}()
	return nil
}

// Stop implements Service.
func (l *Loop) Stop(ctx context.Context) error {
	if l.cancel == nil {
		return nil
	}
	l.cancel()
	select {
	case <-l.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for the %s to end: %w", l.name, ctx.Err())
	}
}

// SetTrouble says why the loop cannot do its work now; nil: it can.
func (l *Loop) SetTrouble(err error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.trouble = err
}

// Health returns the trouble that there is, nil for none.
func (l *Loop) Health(context.Context) error {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if l.trouble != nil {
		return fmt.Errorf("%s: %w", l.name, l.trouble)
	}
	return nil
}
