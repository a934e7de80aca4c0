package main

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// arriveWithin bounds the wait for what is under way.
const arriveWithin = 3 * time.Minute

// burst sends n messages as fast as the posters can and waits for all.
func (w *workload) burst(ctx context.Context, n int) (*tally, error) {
	t := &tally{}
	work := make(chan string, n)
	for range n {
		work <- w.newKey()
	}
	close(work)
	err := w.post(ctx, t, work, func(key string) { w.sends.begin(key, t) })
	if err != nil {
		return nil, err
	}
	return t, t.await(ctx)
}

// closedLoop keeps window messages under way for a while.
func (w *workload) closedLoop(ctx context.Context, d time.Duration) (*tally, error) {
	t := &tally{slots: make(chan struct{}, w.window)}
	work := make(chan string)
	timer := time.NewTimer(d)
	defer timer.Stop()
	go func() {
		defer close(work)
		for {
			select {
			case t.slots <- struct{}{}:
			case <-timer.C:
				return
			case <-ctx.Done():
				return
			}
			work <- w.newKey()
		}
	}()
	err := w.post(ctx, t, work, func(key string) { w.sends.begin(key, t) })
	if err != nil {
		return nil, err
	}
	return t, t.await(ctx)
}

// openLoop sends at a rate, whether or not the hub keeps up. A message's time
// counts from when it was due.
func (w *workload) openLoop(ctx context.Context, rate int, d time.Duration) (*tally, error) {
	t := &tally{}
	n := int(d.Seconds() * float64(rate))
	work := make(chan string, n)
	go func() {
		defer close(work)
		tick := time.NewTicker(time.Second / time.Duration(rate))
		defer tick.Stop()
		for range n {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
			key := w.newKey()
			w.sends.begin(key, t)
			work <- key
		}
	}()
	if err := w.post(ctx, t, work, func(string) {}); err != nil {
		return nil, err
	}
	return t, t.await(ctx)
}

// post hands the keys to the posters until there is none left. A failure ends
// the run: the hub refuses nothing here.
func (w *workload) post(ctx context.Context, t *tally, work <-chan string, before func(key string)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var running sync.WaitGroup
	for range w.posters {
		running.Go(func() {
			for key := range work {
				if ctx.Err() != nil {
					continue
				}
				before(key)
				id, err := w.send(ctx, key)
				if err != nil {
					cancel(fmt.Errorf("%s: sending a message: %w", w.name, err))
					continue
				}
				t.accepted(id)
			}
		})
	}
	running.Wait()
	return context.Cause(ctx)
}

// await waits until everything has arrived.
func (t *tally) await(ctx context.Context) error {
	all := make(chan struct{})
	go func() {
		defer close(all)
		t.left.Wait()
	}()
	select {
	case <-all:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(arriveWithin):
		t.mu.Lock()
		defer t.mu.Unlock()
		return fmt.Errorf("after %s only %d of %d messages have arrived", arriveWithin, len(t.took), len(t.ids))
	}
}
