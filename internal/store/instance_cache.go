package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/singleflight"

	"github.com/omnihub/omni/internal/omni"
)

// InstanceReader reads one instance; *Store is one.
type InstanceReader interface {
	Instance(ctx context.Context, id uuid.UUID) (*omni.Instance, error)
}

// InstanceCache keeps instances for a short while. Changes are announced on
// omni.instance.changed and invalidate it; the time to live is the net below.
// What it gives out is shared: read only. Safe for concurrent use.
type InstanceCache struct {
	from InstanceReader
	ttl  time.Duration
	load singleflight.Group

	mu      sync.Mutex
	entries map[uuid.UUID]cachedInstance
	gen     uint64 // counts invalidations
}

type cachedInstance struct {
	in    *omni.Instance
	until time.Time
}

// NewInstanceCache makes an empty cache.
func NewInstanceCache(from InstanceReader, ttl time.Duration) *InstanceCache {
	return &InstanceCache{from: from, ttl: ttl, entries: map[uuid.UUID]cachedInstance{}}
}

// Get reads an instance, from memory while it is fresh. Unknown ids are not
// remembered: callers may ask for anything, and a new instance must be seen at
// once. ErrNotFound as Store.Instance.
func (c *InstanceCache) Get(ctx context.Context, id uuid.UUID) (*omni.Instance, error) {
	c.mu.Lock()
	e, ok := c.entries[id]
	c.mu.Unlock()
	if ok && time.Now().Before(e.until) {
		return e.in, nil
	}
	v, err, _ := c.load.Do(id.String(), func() (any, error) { return c.read(ctx, id) })
	if err != nil {
		if ctx.Err() == nil && isCancelled(err) {
			// Another caller's context ended the shared read, not ours.
			return c.read(ctx, id)
		}
		return nil, err
	}
	return v.(*omni.Instance), nil //nolint:forcetypeassert // read returns nothing else
}

func (c *InstanceCache) read(ctx context.Context, id uuid.UUID) (*omni.Instance, error) {
	c.mu.Lock()
	before := c.gen
	c.mu.Unlock()

	in, err := c.from.Instance(ctx, id)

	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		delete(c.entries, id)
		return nil, err
	}
	if c.gen == before { // else something changed while we read: use it once, do not keep it
		c.entries[id] = cachedInstance{in: in, until: time.Now().Add(c.ttl)}
	}
	return in, nil
}

// Admit decides about inbound events what the settings of their instances
// alone decide. Those of an instance that is gone are left to the workflow.
func (c *InstanceCache) Admit(ctx context.Context, batch []omni.Envelope) error {
	for i := range batch {
		in, err := c.Get(ctx, batch[i].InstanceID)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return fmt.Errorf("reading instance %s: %w", batch[i].InstanceID, err)
		}
		a := omni.Admit(in.Settings, &batch[i])
		batch[i].Admission = &a
	}
	return nil
}

// Invalidate forgets an instance, also one that is being read right now.
func (c *InstanceCache) Invalidate(id uuid.UUID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.entries, id)
	c.gen++
	c.load.Forget(id.String())
}
