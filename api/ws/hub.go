package ws

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sort"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/omnihub/omni/internal/omni"
)

// Log is the event log. Both answer in log order, and only with events that
// nothing can appear in front of any more (store.Store).
type Log interface {
	EventsAfter(ctx context.Context, tenant string, after omni.Position, limit int) ([]omni.Event, error)
	LogHead(ctx context.Context) (omni.Position, error)
	// PersonAliases are the ids under which the log knows a person.
	PersonAliases(ctx context.Context, id uuid.UUID) ([]uuid.UUID, error)
}

// Signal calls fn whenever the log may have grown, until stop is called. It
// need not be reliable: the hub looks by itself every second.
type Signal func(fn func()) (stop func(), err error)

// ErrClosed says that the hub shuts down.
var ErrClosed = errors.New("the hub is shutting down")

// ErrTooMany says that the hub has as many subscribers as it takes.
var ErrTooMany = errors.New("too many live connections")

const (
	maxItems       = 8192
	maxBytes       = 32 << 20
	readBatch      = 500
	lookEvery      = time.Second
	readTimeout    = 10 * time.Second
	maxSubscribers = 5000
	maxOfTenant    = 2500            // so that no tenant keeps the others out
	closePatience  = 2 * time.Second // for clients to answer a close
)

// item is one event, encoded once for everybody.
type item struct {
	event omni.Event
	json  []byte
}

// Hub is the piece of the log that is in memory, and who waits for more.
type Hub struct {
	log    Log
	signal Signal
	tokens tokenSource
	slog   *slog.Logger

	wake   chan struct{} // the log may have grown
	closed chan struct{} // no more will come
	cancel context.CancelFunc
	done   chan struct{}
	stop   func() // of the signal

	joining sync.Mutex // held while the first subscriber finds the head

	mu    sync.Mutex
	items []item // in log order: all events behind base, up to tail
	bytes int
	base  omni.Position
	tail  omni.Position
	subs  int
	of    map[string]int // subscribers of each tenant
	more  chan struct{}  // closed and replaced when items grow

	closing bool          // nobody may join any more
	gone    chan struct{} // closed when the last has left after that
}

// NewHub makes a hub; signal and tokens may be nil.
func NewHub(log Log, signal Signal, tokens Tokens, logger *slog.Logger) *Hub {
	return &Hub{log: log, signal: signal, tokens: tokenSource{from: tokens}, slog: logger, wake: make(chan struct{}, 1), closed: make(chan struct{}),
		done: make(chan struct{}), of: map[string]int{}, more: make(chan struct{}), gone: make(chan struct{})}
}

// Start begins to listen for the signal.
func (h *Hub) Start(context.Context) error {
	if h.signal != nil {
		stop, err := h.signal(h.nudge)
		if err != nil {
			return fmt.Errorf("subscribing to the live log: %w", err)
		}
		h.stop = stop
	}
	// Ended by Stop, not by the context of starting.
	ctx, cancel := context.WithCancel(context.Background())
	h.cancel = cancel
	go h.run(ctx)
	return nil
}

// Stop ends every subscription, gives clients a moment to take the close, and
// waits for the hub itself.
func (h *Hub) Stop(ctx context.Context) error {
	if h.cancel == nil {
		return nil
	}
	if h.stop != nil {
		h.stop()
	}
	h.cancel()
	select {
	case <-h.done:
	case <-ctx.Done():
		return fmt.Errorf("stopping the live log: %w", ctx.Err())
	}
	h.mu.Lock()
	if first := !h.closing; first && h.subs == 0 {
		close(h.gone)
	}
	h.closing = true
	h.mu.Unlock()
	patience := time.NewTimer(closePatience)
	defer patience.Stop()
	select {
	case <-h.gone:
	case <-patience.C:
	case <-ctx.Done():
	}
	return nil
}

func (h *Hub) nudge() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

func (h *Hub) run(ctx context.Context) {
	defer close(h.done)
	defer close(h.closed)
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.wake:
		case <-look.C:
		}
		if err := h.read(ctx); err != nil && ctx.Err() == nil {
			h.slog.WarnContext(ctx, "reading the live log; it is read again within a second", "error", err)
		}
	}
}

// read takes in what the log has grown by, while anybody listens.
func (h *Hub) read(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	for {
		h.mu.Lock()
		after, idle := h.tail, h.subs == 0
		h.mu.Unlock()
		if idle {
			return nil
		}
		events, err := h.log.EventsAfter(ctx, "", after, readBatch)
		if err != nil {
			return err
		}
		h.grow(after, events)
		if len(events) < readBatch {
			return nil
		}
	}
}

// grow appends, unless the piece was begun anew meanwhile.
func (h *Hub) grow(after omni.Position, events []omni.Event) {
	if len(events) == 0 {
		return
	}
	fresh := encode(events, h.slog)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.tail != after {
		return
	}
	h.items = append(h.items, fresh...)
	h.tail = events[len(events)-1].Position
	for i := range fresh {
		h.bytes += len(fresh[i].json)
	}
	h.trim()
	close(h.more)
	h.more = make(chan struct{})
}

// trim forgets the oldest events beyond the bounds.
func (h *Hub) trim() {
	drop := 0
	for n := len(h.items); drop < n && (n-drop > maxItems || h.bytes > maxBytes); drop++ {
		h.bytes -= len(h.items[drop].json)
		h.base = h.items[drop].event.Position
	}
	if drop > 0 {
		// A copy, so that what was dropped can be freed.
		h.items = append([]item(nil), h.items[drop:]...)
	}
}

func encode(events []omni.Event, log *slog.Logger) []item {
	out := make([]item, len(events))
	for i, e := range events {
		b, err := omni.CloudEvent(e)
		if err != nil {
			// Cannot happen to what the log accepted; an event must not vanish silently.
			log.Error("an event of the log cannot be encoded", "event_id", e.ID, "error", err)
		}
		out[i] = item{event: e, json: b}
	}
	return out
}

// join counts a subscriber in; the first one begins the piece at the head.
func (h *Hub) join(ctx context.Context, tenant string) error {
	h.joining.Lock()
	defer h.joining.Unlock()
	h.mu.Lock()
	first, full, closing := h.subs == 0, h.subs >= maxSubscribers || h.of[tenant] >= maxOfTenant, h.closing
	h.mu.Unlock()
	switch {
	case closing:
		return ErrClosed
	case full:
		return ErrTooMany
	}
	if first {
		head, err := h.log.LogHead(ctx)
		if err != nil {
			return err
		}
		h.mu.Lock()
		h.items, h.bytes, h.base, h.tail = nil, 0, head, head
		h.mu.Unlock()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closing {
		return ErrClosed
	}
	h.subs++
	h.of[tenant]++
	h.nudge()
	return nil
}

func (h *Hub) leave(tenant string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.subs--
	if h.of[tenant]--; h.of[tenant] == 0 {
		delete(h.of, tenant)
	}
	if h.subs > 0 {
		return
	}
	if h.closing {
		close(h.gone)
		return
	}
	h.items, h.bytes = nil, 0
	h.base = h.tail
}

// after gives the items behind a position, if memory covers it, and what to
// wait for when there are none.
func (h *Hub) after(p omni.Position, limit int) (items []item, more <-chan struct{}, covered bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if p.Less(h.base) {
		return nil, nil, false
	}
	i := sort.Search(len(h.items), func(i int) bool { return p.Less(h.items[i].event.Position) })
	end := min(len(h.items), i+limit)
	return h.items[i:end:end], h.more, true
}

// begin is the position that memory begins behind.
func (h *Hub) begin() omni.Position {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.base
}
