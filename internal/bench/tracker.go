package main

import (
	"sync"
	"time"

	"github.com/google/uuid"
)

// tracker knows which messages are under way, by a key of the workload's own.
type tracker struct {
	mu    sync.Mutex
	begun map[string]passage
}

// passage is one message under way.
type passage struct {
	at time.Time
	of *tally
}

func newTracker() *tracker { return &tracker{begun: map[string]passage{}} }

// begin notes that a message sets out now. It counts for t.
func (tr *tracker) begin(key string, t *tally) {
	t.left.Add(1)
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.begun[key] = passage{time.Now(), t}
}

// done notes that a message has arrived. A second time changes nothing.
func (tr *tracker) done(key string) {
	now := time.Now()
	tr.mu.Lock()
	p, known := tr.begun[key]
	delete(tr.begun, key)
	tr.mu.Unlock()
	if !known {
		return
	}
	t := p.of
	t.mu.Lock()
	t.took, t.ends = append(t.took, now.Sub(p.at)), append(t.ends, now)
	t.mu.Unlock()
	if t.slots != nil {
		<-t.slots
	}
	t.left.Done()
}

// tally is what one run counted.
type tally struct {
	slots chan struct{} // of a closed loop; nil: open
	left  sync.WaitGroup

	mu   sync.Mutex
	took []time.Duration // from setting out to arrival
	ends []time.Time
	ids  []uuid.UUID // messages, in the order they were accepted
}

func (t *tally) accepted(id uuid.UUID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ids = append(t.ids, id)
}

// last is when the last message arrived.
func (t *tally) last() time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	var last time.Time
	for _, at := range t.ends {
		if at.After(last) {
			last = at
		}
	}
	return last
}

// between counts the arrivals in [from, to).
func (t *tally) between(from, to time.Time) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for _, at := range t.ends {
		if !at.Before(from) && at.Before(to) {
			n++
		}
	}
	return n
}
