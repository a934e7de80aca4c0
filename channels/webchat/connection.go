package webchat

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/time/rate"
)

const (
	helloTimeout = 10 * time.Second
	writeTimeout = 10 * time.Second
	pingEvery    = 25 * time.Second
	queueLength  = 1024 // frames for a page that reads slowly; past it, it reconnects
	historyPage  = 100
	historyPages = 20
)

// connection is one open page.
type connection struct {
	page    *page
	ws      *websocket.Conn
	chat    string
	out     chan []byte
	limiter *rate.Limiter
	address string // who connects
	known   bool   // the visitor has written before; only read and written by read
	visitor *visitor
	typing  rate.Sometimes

	mu      sync.Mutex
	backlog [][]byte        // live frames until history was sent
	seen    map[string]bool // ids that history had: their broadcast may arrive later
	live    bool
}

func newConnection(p *page, ws *websocket.Conn) *connection {
	return &connection{page: p, ws: ws, out: make(chan []byte, queueLength),
		typing: rate.Sometimes{First: 1, Interval: 2500 * time.Millisecond}}
}

// serve runs the connection until the page leaves or ctx ends, and returns
// when everything it started has ended.
func (c *connection) serve(ctx context.Context) {
	defer func() { _ = c.ws.CloseNow() }()
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	hello, err := c.readHello(ctx)
	if err != nil {
		_ = c.ws.Close(websocket.StatusPolicyViolation, "hello expected")
		return
	}
	c.chat = chatID(c.page.instanceID, hello.Visitor)
	limiter, leave := c.page.crowd.limiter(c.chat)
	c.limiter, c.visitor = limiter, c.page.crowd.visitor(c.chat)
	defer func() {
		leave()
		c.left(ctx)
	}()
	stop, err := c.page.deps.Live.Listen(topic(c.chat), func(data []byte) { c.onLive(data, cancel) })
	if err != nil {
		c.page.deps.Log.Warn("listening for chat frames", "error", err)
		_ = c.ws.Close(websocket.StatusTryAgainLater, "unavailable")
		return
	}
	defer stop()
	wg.Go(func() { c.write(ctx, cancel) })
	wg.Go(func() { c.ping(ctx, cancel) })
	wg.Go(func() { c.here(ctx) })
	if err := c.sendHistory(ctx, hello.Since); err != nil {
		if ctx.Err() == nil {
			c.page.deps.Log.Warn("reading chat history", "error", err)
		}
		_ = c.ws.Close(websocket.StatusTryAgainLater, "unavailable")
		return
	}
	c.read(ctx)
}

// readHello reads the first frame, which says who visits.
func (c *connection) readHello(ctx context.Context) (clientFrame, error) {
	ctx, cancel := context.WithTimeout(ctx, helloTimeout)
	defer cancel()
	f, err := c.readFrame(ctx)
	if err != nil {
		return f, err
	}
	if f.Type != frameHello || !tokenForm.MatchString(f.Visitor) || len(f.Since) > 64 {
		return f, errors.New("the first frame is not a hello")
	}
	return f, nil
}

func (c *connection) readFrame(ctx context.Context) (clientFrame, error) {
	var f clientFrame
	kind, data, err := c.ws.Read(ctx)
	if err != nil {
		return f, fmt.Errorf("reading frame: %w", err)
	}
	if kind != websocket.MessageText {
		return f, errors.New("reading frame: not text")
	}
	if err := json.Unmarshal(data, &f); err != nil {
		return f, fmt.Errorf("reading frame: %w", err)
	}
	return f, nil
}

// onLive takes a frame that was broadcast. It must not wait for the page.
func (c *connection) onLive(data []byte, cancel func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.live {
		if c.backlog = append(c.backlog, data); len(c.backlog) > queueLength {
			cancel()
		}
		return
	}
	if !isRepeat(data, c.seen) {
		c.enqueue(data, cancel)
	}
}

func (c *connection) enqueue(data []byte, cancel func()) {
	select {
	case c.out <- data:
	default:
		// The page reads the rest from history when it comes back.
		cancel()
	}
}

// push queues a frame of this connection's own, waiting for room.
func (c *connection) push(ctx context.Context, f serverFrame) error {
	select {
	case c.out <- f.encode():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// sendHistory sends what the page has missed, then what was broadcast
// meanwhile and is not in it, and goes live.
func (c *connection) sendHistory(ctx context.Context, since string) error {
	seen := map[string]bool{}
	after := since
	for range historyPages {
		items, err := c.page.deps.History.Since(ctx, c.chat, after, historyPage)
		if err != nil {
			return fmt.Errorf("reading history: %w", err)
		}
		if len(items) == 0 && after == since && since != "" { // it is no message any more
			since, after = "", ""
			continue
		}
		full := len(items) == historyPage
		c.known = c.known || len(items) > 0
		if after != since && len(items) > 0 && items[0].ID == after { // the page before ended with it
			items = items[1:]
		}
		for i := range items {
			seen[items[i].ID] = true
			items[i].ClientID = clientIDOf(c.chat, items[i].ClientID)
		}
		if len(items) > 0 {
			if err := c.push(ctx, serverFrame{Type: frameHistory, Messages: items}); err != nil {
				return err
			}
			after = items[len(items)-1].ID
		}
		// Without a beginning only the newest page is wanted.
		if since == "" || !full {
			break
		}
	}
	return c.goLive(ctx, seen)
}

func (c *connection) goLive(ctx context.Context, seen map[string]bool) error {
	for {
		c.mu.Lock()
		backlog := c.backlog
		c.backlog = nil
		if len(backlog) == 0 {
			// Under the lock: nothing can slip between the last backlog and live.
			c.live, c.seen = true, seen
			c.mu.Unlock()
			return c.push(ctx, serverFrame{Type: frameReady})
		}
		c.mu.Unlock()
		for _, data := range backlog {
			if isRepeat(data, seen) {
				continue
			}
			select {
			case c.out <- data:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
}

func isRepeat(data []byte, seen map[string]bool) bool {
	var f serverFrame
	if json.Unmarshal(data, &f) != nil || f.Type != frameMessage || f.Message == nil {
		return false
	}
	return seen[f.Message.ID]
}

func (c *connection) write(ctx context.Context, cancel func()) {
	defer cancel()
	for {
		select {
		case <-ctx.Done():
			return
		case data := <-c.out:
			if err := c.writeFrame(ctx, data); err != nil {
				return
			}
		}
	}
}

func (c *connection) writeFrame(ctx context.Context, data []byte) error {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	return c.ws.Write(ctx, websocket.MessageText, data)
}

// ping finds out about pages that are gone without a word.
func (c *connection) ping(ctx context.Context, cancel func()) {
	defer cancel()
	tick := time.NewTicker(pingEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		pingCtx, done := context.WithTimeout(ctx, writeTimeout)
		err := c.ws.Ping(pingCtx)
		done()
		if err != nil {
			return
		}
		c.here(ctx)
	}
}
