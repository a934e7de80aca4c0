package main

import (
	"context"
	"sync"
	"time"

	"github.com/google/uuid"
)

// ingestWhile is how long messages come as fast as they are taken.
const ingestWhile = 5 * time.Second

// ingestFlow measures how messages get into the database.
func (r *runner) ingestFlow(ctx context.Context, w *workload, f *figures) error {
	began := time.Now()
	t, err := w.closedLoop(ctx, min(ingestWhile, r.o.sustain))
	if err != nil {
		return err
	}
	if err := r.db.awaitRows(ctx, t.ids[max(0, len(t.ids)-2*posters):]); err != nil {
		return err
	}
	f.sustained = float64(len(t.ids)) / time.Since(began).Seconds()
	if err := r.settle(ctx); err != nil {
		return err
	}
	fast, rows, err := r.openIngest(ctx, w, fastRate, min(ingestWhile, r.o.steady), 20)
	if err != nil {
		return err
	}
	f.fast = &fastIngest{accept50: percentile(fast.took, 0.5), accept99: percentile(fast.took, 0.99),
		row50: percentile(rows, 0.5), row99: percentile(rows, 0.99)}
	if err := r.settle(ctx); err != nil {
		return err
	}
	steady, rows, err := r.openIngest(ctx, w, r.o.rate, r.o.steady, 1)
	if err != nil {
		return err
	}
	f.accept50, f.accept99 = percentile(steady.took, 0.5), percentile(steady.took, 0.99)
	f.p50, f.p99 = percentile(rows, 0.5), percentile(rows, 0.99)
	return r.settle(ctx)
}

// openIngest sends at a rate and looks for the row of each every-th message.
// rows are the times from the call of the webhook until the row was seen.
func (r *runner) openIngest(ctx context.Context, w *workload, rate int, d time.Duration, every int) (t *tally, rows []time.Duration, err error) {
	var (
		mu      sync.Mutex
		looking sync.WaitGroup
		n       int
		failure error
	)
	watched := *w
	watched.send = func(ctx context.Context, key string) (uuid.UUID, error) {
		began := time.Now()
		id, err := w.send(ctx, key)
		mu.Lock()
		n++
		look := err == nil && n%every == 0
		mu.Unlock()
		if look {
			looking.Go(func() {
				err := r.db.awaitRows(context.WithoutCancel(ctx), []uuid.UUID{id})
				mu.Lock()
				defer mu.Unlock()
				rows = append(rows, time.Since(began))
				if err != nil {
					failure = err
				}
			})
		}
		return id, err
	}
	t, err = watched.openLoop(ctx, rate, d)
	looking.Wait()
	if err == nil {
		err = failure
	}
	return t, rows, err
}
