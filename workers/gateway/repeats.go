package gateway

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/omnihub/omni/internal/bus"
)

const (
	repeatsTimeout = 500 * time.Millisecond // of a look-up; the platform waits for its answer meanwhile
	repeatsPause   = 2 * time.Second        // without look-ups after a failed one
	repeatsBatch   = 256
)

// repeats tells events that came before from new ones, beyond the stream's own
// memory. Whoever asks while a look-up runs is answered by the next one, so
// that many askers cost few queries. It is a courtesy to the caller: what is
// repeated is recognised again further on, so a failure means "new".
type repeats struct {
	store EdgeStore
	log   *slog.Logger

	mu      sync.Mutex
	waiting []repeatQuestion
	running bool
	quiet   time.Time // no look-ups before
}

type repeatQuestion struct {
	id     uuid.UUID
	seq    uint64
	answer chan bool
}

func newRepeats(store EdgeStore, log *slog.Logger) *repeats { return &repeats{store: store, log: log} }

// repeated reports whether the event was recorded from another place in the
// stream than seq.
func (r *repeats) repeated(ctx context.Context, id uuid.UUID, seq uint64) bool {
	q := repeatQuestion{id: id, seq: seq, answer: make(chan bool, 1)}
	r.mu.Lock()
	if time.Now().Before(r.quiet) {
		r.mu.Unlock()
		return false
	}
	r.waiting = append(r.waiting, q)
	if !r.running {
		r.running = true
		go r.run()
	}
	r.mu.Unlock()
	select {
	case repeated := <-q.answer:
		return repeated
	case <-ctx.Done():
		return false
	}
}

// run answers until nobody waits.
func (r *repeats) run() {
	for {
		r.mu.Lock()
		if len(r.waiting) == 0 {
			r.running = false
			r.mu.Unlock()
			return
		}
		batch := r.waiting[:min(len(r.waiting), repeatsBatch)]
		r.waiting = r.waiting[len(batch):]
		r.mu.Unlock()
		r.lookUp(batch)
	}
}

func (r *repeats) lookUp(batch []repeatQuestion) {
	ids := make([]uuid.UUID, len(batch))
	for i, q := range batch {
		ids[i] = q.id
	}
	ctx, cancel := context.WithTimeout(context.Background(), repeatsTimeout)
	defer cancel()
	places, err := r.store.RecordedPlaces(ctx, ids, bus.InboundWindow/2)
	if err != nil {
		r.log.Warn("cannot tell repeated events from new ones", "error", err)
		r.mu.Lock()
		r.quiet = time.Now().Add(repeatsPause)
		r.mu.Unlock()
	}
	for _, q := range batch {
		place, known := places[q.id]
		q.answer <- known && place != q.seq
	}
}
