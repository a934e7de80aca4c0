package gateway_test

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/workers/gateway"
)

// countedInstances counts what is read, and holds readers up.
type countedInstances struct {
	gateway.Instances
	reads, now, most atomic.Int64
	hold             chan struct{}
}

func (c *countedInstances) Get(ctx context.Context, id uuid.UUID) (*omni.Instance, error) {
	c.reads.Add(1)
	n := c.now.Add(1)
	defer c.now.Add(-1)
	for most := c.most.Load(); n > most && !c.most.CompareAndSwap(most, n); most = c.most.Load() {
	}
	if c.hold != nil {
		<-c.hold
	}
	return c.Instances.Get(ctx, id)
}

// Anybody may call a hook by any id. It costs an answer, not a query each.
func TestStrangersCostNoQueries(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	counted := &countedInstances{}
	h := hooks(t, w, func(d *gateway.HooksDeps) { counted.Instances, d.Instances = d.Instances, counted })
	id := uuid.NewString()
	for range 1000 {
		_, err := h.Webhook(t.Context(), "fake", id, channels.WebhookRequest{Method: http.MethodPost, Now: time.Now()})
		require.ErrorIs(t, err, omni.ErrNotFound)
		require.ErrorIs(t, h.Find(t.Context(), "fake", id), omni.ErrNotFound)
		_, err = h.Page(id)
		require.ErrorIs(t, err, omni.ErrNotFound)
	}
	require.LessOrEqual(t, counted.reads.Load(), int64(3), "the same id is asked for now and then")

	// Many ids at once: few of them at the database at a time.
	counted.hold = make(chan struct{})
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() { _ = h.Find(context.Background(), "fake", uuid.NewString()) })
	}
	require.Eventually(t, func() bool { return counted.now.Load() == 4 }, 20*time.Second, time.Millisecond)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, h.Find(ctx, "fake", uuid.NewString()), context.Canceled, "nobody waits longer than they want to")
	close(counted.hold)
	wg.Wait()
	require.EqualValues(t, 4, counted.most.Load())
}

// Instances that are in memory are found whatever strangers do.
func TestStrangersHoldNobodyUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	in := w.instance(`{}`)
	cache := &countedInstances{hold: make(chan struct{})}
	h := hooks(t, w, func(d *gateway.HooksDeps) { cache.Instances, d.Instances = &rememberAll{d.Instances}, cache })
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() { _ = h.Find(context.Background(), "fake", uuid.NewString()) })
	}
	defer wg.Wait()
	defer close(cache.hold)
	require.Eventually(t, func() bool { return cache.now.Load() == 4 }, 20*time.Second, time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	require.NoError(t, h.Find(ctx, "fake", in.ID.String()))
}

// rememberAll has every instance in memory.
type rememberAll struct{ gateway.Instances }

func (r *rememberAll) Remembered(id uuid.UUID) (*omni.Instance, bool) {
	in, err := r.Get(context.Background(), id)
	return in, err == nil
}
