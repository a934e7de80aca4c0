package store

import (
	"context"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/singleflight"
)

// cache keeps rows by id for a short while. What it gives out is shared: read
// only. Safe for concurrent use.
type cache[T any] struct {
	from func(context.Context, uuid.UUID) (*T, error)
	ttl  time.Duration
	load singleflight.Group

	mu      sync.Mutex
	entries map[uuid.UUID]cached[T]
	gen     uint64 // counts invalidations
}

type cached[T any] struct {
	v     *T
	until time.Time
}

func newCache[T any](from func(context.Context, uuid.UUID) (*T, error), ttl time.Duration) *cache[T] {
	return &cache[T]{from: from, ttl: ttl, entries: map[uuid.UUID]cached[T]{}}
}

// Get reads a row, from memory while it is fresh. Unknown ids are not
// remembered: callers may ask for anything, and a new row must be seen at
// once. ErrNotFound as whatever it reads from.
func (c *cache[T]) Get(ctx context.Context, id uuid.UUID) (*T, error) {
	c.mu.Lock()
	e, ok := c.entries[id]
	c.mu.Unlock()
	if ok && time.Now().Before(e.until) {
		return e.v, nil
	}
	v, err, _ := c.load.Do(id.String(), func() (any, error) { return c.read(ctx, id) })
	if err != nil {
		if ctx.Err() == nil && isCancelled(err) {
			// Another caller's context ended the shared read, not ours.
			return c.read(ctx, id)
		}
		return nil, err
	}
	return v.(*T), nil //nolint:forcetypeassert // read returns nothing else
}

// Remembered gives a row that is fresh in memory.
func (c *cache[T]) Remembered(id uuid.UUID) (*T, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries[id]
	return e.v, ok && time.Now().Before(e.until)
}

func (c *cache[T]) read(ctx context.Context, id uuid.UUID) (*T, error) {
	c.mu.Lock()
	before := c.gen
	c.mu.Unlock()

	v, err := c.from(ctx, id)

	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		delete(c.entries, id)
		return nil, err
	}
	if c.gen == before { // else something changed while we read: use it once, do not keep it
		c.entries[id] = cached[T]{v: v, until: time.Now().Add(c.ttl)}
	}
	return v, nil
}

// Invalidate forgets a row, also one that is being read right now.
func (c *cache[T]) Invalidate(id uuid.UUID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.entries, id)
	c.gen++
	c.load.Forget(id.String())
}
