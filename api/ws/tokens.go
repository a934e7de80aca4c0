package ws

import (
	"sync"

	"github.com/omnihub/omni/internal/omni"
)

// Tokens calls fn, one at a time, with each piece of an answer that an agent
// is saying (omni.AgentStream as a CloudEvent), until stop is called.
type Tokens func(fn func(frame []byte)) (stop func(), err error)

// What a subscriber that reads slowly misses is the oldest: seq and offset of
// the next frame say that there was more.
const (
	maxTokenFrames = 1024
	maxTokenBytes  = 1 << 20
)

// tokenSource hears the pieces once for all subscribers that asked for them,
// and only while there are any. It never waits for one.
type tokenSource struct {
	from Tokens

	mu     sync.Mutex
	stop   func()
	queues map[*tokenQueue]struct{}
}

func (t *tokenSource) open(tenant string, f omni.EventFilter) (*tokenQueue, error) {
	if t.from == nil {
		return nil, nil //nolint:nilnil // nothing is streamed: a nil queue is one that stays empty
	}
	f.Types = []string{string(omni.EventAgentStream)}
	q := &tokenQueue{tenant: tenant, filter: f, ready: make(chan struct{}, 1)}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.queues) == 0 {
		stop, err := t.from(t.hear)
		if err != nil {
			return nil, err
		}
		t.stop, t.queues = stop, map[*tokenQueue]struct{}{}
	}
	t.queues[q] = struct{}{}
	return q, nil
}

func (t *tokenSource) close(q *tokenQueue) {
	if q == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.queues, q)
	if len(t.queues) == 0 && t.stop != nil {
		t.stop()
		t.stop = nil
	}
}

func (t *tokenSource) hear(frame []byte) {
	e, err := omni.ParseAgentStream(frame)
	if err != nil {
		return // somebody else's words on the subject
	}
	it := item{event: *e, json: append([]byte(nil), frame...)}
	t.mu.Lock()
	defer t.mu.Unlock()
	for q := range t.queues {
		if q.tenant == e.TenantID && q.filter.Matches(e) {
			q.push(it)
		}
	}
}

// tokenQueue is what one subscriber has yet to read. A nil queue stays empty.
type tokenQueue struct {
	tenant string
	filter omni.EventFilter
	ready  chan struct{} // has a value while there may be something

	mu    sync.Mutex
	items []item
	bytes int
}

func (q *tokenQueue) push(it item) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.items, q.bytes = append(q.items, it), q.bytes+len(it.json)
	for len(q.items) > maxTokenFrames || q.bytes > maxTokenBytes && len(q.items) > 1 {
		q.bytes -= len(q.items[0].json)
		q.items = q.items[1:]
	}
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

// take returns what has come, and forgets it.
func (q *tokenQueue) take() []item {
	if q == nil {
		return nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	items := q.items
	q.items, q.bytes = nil, 0
	return items
}

// waiting has a value when something may have come.
func (q *tokenQueue) waiting() <-chan struct{} {
	if q == nil {
		return nil
	}
	return q.ready
}
