package gateway

import (
	"container/list"
	"sync"
	"time"

	"github.com/omnihub/omni/channels"
)

const (
	memoryFor   = 10 * time.Minute
	memoryLimit = 20_000 // outcomes per instance
)

// memory knows what became of the keys that were handed over lately, so that
// one key is sent once however often and however close together it comes.
type memory struct {
	keep  time.Duration
	limit int
	now   func() time.Time

	mu      sync.Mutex
	byKey   map[string]*outcome
	ordered *list.List // of *outcome, oldest first
}

// outcome is one attempt under a key.
type outcome struct {
	key   string
	at    time.Time
	done  chan struct{}
	reply channels.Reply // valid once done is closed
	place *list.Element
}

func newMemory(keep time.Duration, limit int) *memory {
	return &memory{keep: keep, limit: limit, now: time.Now, byKey: map[string]*outcome{}, ordered: list.New()}
}

// begin returns the attempt to wait for, or a new one that the caller must
// finish (mine). What was sent, or is being sent, is never begun again. What
// failed is: the caller decided to try the same key once more.
func (m *memory) begin(key string) (o *outcome, mine bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forget()
	if o := m.byKey[key]; o != nil {
		if !o.finished() || o.reply.Receipt != nil {
			return o, false
		}
		m.remove(o)
	}
	o = &outcome{key: key, at: m.now(), done: make(chan struct{})}
	if key != "" { // without a key there is nothing to know it again by
		o.place = m.ordered.PushBack(o)
		m.byKey[key] = o
	}
	return o, true
}

func (m *memory) finish(o *outcome, reply channels.Reply) {
	m.mu.Lock()
	defer m.mu.Unlock()
	o.reply = reply
	close(o.done)
}

// find returns the last attempt under a key, nil where none is remembered.
func (m *memory) find(key string) *outcome {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forget()
	return m.byKey[key]
}

// forget drops what is too old, and the oldest finished ones over the limit.
func (m *memory) forget() {
	for e := m.ordered.Front(); e != nil; {
		o := e.Value.(*outcome) //nolint:forcetypeassert // only outcomes are put in
		next := e.Next()
		old := m.now().Sub(o.at) > m.keep
		if !old && m.ordered.Len() <= m.limit {
			return
		}
		if o.finished() {
			m.remove(o)
		}
		e = next
	}
}

func (m *memory) remove(o *outcome) {
	m.ordered.Remove(o.place)
	delete(m.byKey, o.key)
}

func (o *outcome) finished() bool {
	select {
	case <-o.done:
		return true
	default:
		return false
	}
}
