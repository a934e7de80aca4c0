package gateway

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/omnihub/omni/internal/omni"
)

// unknown keeps strangers from the database. Anybody may call a hook or open a
// page by any id: that must not cost more than an answer.
type unknown struct {
	reading chan struct{} // a place for each reading of an instance that is not in memory

	mu  sync.Mutex
	ids map[uuid.UUID]time.Time // until when nobody asks for it again
}

const (
	// Ids are drawn by the hub when an instance is made: nobody can have asked
	// for one before.
	unknownFor  = 5 * time.Second
	maxUnknown  = 10_000
	maxReadings = 4
)

func newUnknown() *unknown {
	return &unknown{reading: make(chan struct{}, maxReadings), ids: map[uuid.UUID]time.Time{}}
}

func (u *unknown) has(id uuid.UUID) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	until, ok := u.ids[id]
	return ok && time.Now().Before(until)
}

func (u *unknown) add(id uuid.UUID) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.ids) >= maxUnknown {
		clear(u.ids)
	}
	u.ids[id] = time.Now().Add(unknownFor)
}

// read finds an instance: from memory at once, else with few others at a time,
// so that the rest of the hub keeps its connections to the database.
func (h *Hooks) read(ctx context.Context, id uuid.UUID) (*omni.Instance, error) {
	if in, ok := h.deps.Instances.Remembered(id); ok {
		return in, nil
	}
	if h.unknown.has(id) {
		return nil, omni.ErrNotFound
	}
	select {
	case h.unknown.reading <- struct{}{}:
		defer func() { <-h.unknown.reading }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	in, err := h.deps.Instances.Get(ctx, id)
	if errors.Is(err, omni.ErrNotFound) {
		h.unknown.add(id)
	}
	return in, err
}
