package channeltest

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/omnihub/omni/channels"
)

// KV is a channels.KV in memory.
type KV struct {
	mu     sync.Mutex
	values map[string][]byte
}

var _ channels.KV = (*KV)(nil)

// NewKV makes an empty KV.
func NewKV() *KV { return &KV{values: map[string][]byte{}} }

// Get returns a copy of the value, nil where there is none.
func (kv *KV) Get(_ context.Context, key string) ([]byte, error) {
	kv.mu.Lock()
	defer kv.mu.Unlock()
	return slices.Clone(kv.values[key]), nil
}

// Put keeps a copy of the value.
func (kv *KV) Put(_ context.Context, key string, value []byte) error {
	kv.mu.Lock()
	defer kv.mu.Unlock()
	kv.values[key] = slices.Clone(value)
	return nil
}

// Delete removes the key.
func (kv *KV) Delete(_ context.Context, key string) error {
	kv.mu.Lock()
	defer kv.mu.Unlock()
	delete(kv.values, key)
	return nil
}

// Live is a channels.Live in memory. Each listener is called on a goroutine of
// its own, in order, as subscribers of a broker are.
type Live struct {
	mu        sync.Mutex
	listeners map[*listener]struct{}
	down      bool
}

type listener struct {
	topic string
	fn    func([]byte)
	mu    sync.Mutex
	queue [][]byte
	wake  chan struct{}
	quit  chan struct{}
	done  chan struct{}
}

var _ channels.Live = (*Live)(nil)

// NewLive makes a Live without listeners.
func NewLive() *Live { return &Live{listeners: map[*listener]struct{}{}} }

// SetDown lets broadcasts fail while down is true.
func (l *Live) SetDown(down bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = down
}

// Broadcast hands data to every listener of the topic.
func (l *Live) Broadcast(_ context.Context, topic string, data []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down {
		return errors.New("live is down")
	}
	for ln := range l.listeners {
		if ln.topic == topic {
			ln.push(slices.Clone(data))
		}
	}
	return nil
}

// Listen calls fn for everything broadcast on the topic, until stop.
func (l *Live) Listen(topic string, fn func([]byte)) (stop func(), err error) {
	ln := &listener{topic: topic, fn: fn, wake: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{})}
	l.mu.Lock()
	l.listeners[ln] = struct{}{}
	l.mu.Unlock()
	go ln.run()
	var once sync.Once
	return func() {
		once.Do(func() {
			l.mu.Lock()
			delete(l.listeners, ln)
			l.mu.Unlock()
			close(ln.quit)
			<-ln.done
		})
	}, nil
}

// Listeners returns how many listen.
func (l *Live) Listeners() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.listeners)
}

func (ln *listener) push(data []byte) {
	ln.mu.Lock()
	ln.queue = append(ln.queue, data)
	ln.mu.Unlock()
	select {
	case ln.wake <- struct{}{}:
	default:
	}
}

func (ln *listener) run() {
	defer close(ln.done)
	for {
		select {
		case <-ln.quit:
			return
		case <-ln.wake:
		}
		ln.mu.Lock()
		queue := ln.queue
		ln.queue = nil
		ln.mu.Unlock()
		for _, data := range queue {
			ln.fn(data)
		}
	}
}

// History is a channels.History in memory, filled by Add.
type History struct {
	mu    sync.Mutex
	items map[string][]channels.HistoryItem
	err   error
	read  func() // called before each read
}

var _ channels.History = (*History)(nil)

// NewHistory makes an empty History.
func NewHistory() *History { return &History{items: map[string][]channels.HistoryItem{}} }

// Add appends a message to a chat.
func (h *History) Add(chatID string, item channels.HistoryItem) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.items[chatID] = append(h.items[chatID], item)
}

// Fail lets reads fail with err, or work again with nil.
func (h *History) Fail(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.err = err
}

// OnRead calls fn before each read: a test puts something in between.
func (h *History) OnRead(fn func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.read = fn
}

// Edit replaces what a message says, or marks it as deleted.
func (h *History) Edit(chatID string, item channels.HistoryItem) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, it := range h.items[chatID] {
		if it.ID == item.ID {
			h.items[chatID][i] = item
		}
	}
}

// Since returns the messages from an id on, or the newest, oldest first.
func (h *History) Since(_ context.Context, chatID, after string, limit int) ([]channels.HistoryItem, error) {
	h.mu.Lock()
	fn := h.read
	h.mu.Unlock()
	if fn != nil {
		fn()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.err != nil {
		return nil, h.err
	}
	items := h.items[chatID]
	if after == "" {
		items = slices.DeleteFunc(slices.Clone(items), func(it channels.HistoryItem) bool { return it.Deleted })
		return items[max(0, len(items)-limit):], nil
	}
	i := slices.IndexFunc(items, func(it channels.HistoryItem) bool { return it.ID == after })
	if i < 0 {
		return nil, nil
	}
	items = items[i:]
	return slices.Clone(items[:min(limit, len(items))]), nil
}
