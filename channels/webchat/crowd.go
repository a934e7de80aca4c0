package webchat

import (
	"sync"

	"golang.org/x/time/rate"
)

// The bounds of one page. Anybody on the internet may open it.
const (
	maxConnections = 5000
	maxRemembered  = 10_000 // visitors
	messageRate    = 5      // per second and visitor
	messageBurst   = 20
)

// crowd counts who has the page open, and keeps each visitor within a rate
// over all of their connections. Safe for concurrent use; zero is empty.
type crowd struct {
	mu       sync.Mutex
	open     int
	visitors map[string]*visitor
}

type visitor struct {
	limiter *rate.Limiter
	open    int

	saying sync.Mutex // held while it is said that they are there, or have left
}

// enter takes a place, and reports whether there was one.
func (c *crowd) enter() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open >= maxConnections {
		return false
	}
	c.open++
	return true
}

func (c *crowd) exit() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open--
}

// limiter is the one of all connections of a chat. leave must be called when
// the connection ends; coming back does not refill it.
func (c *crowd) limiter(chat string) (l *rate.Limiter, leave func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	v := c.visitors[chat]
	if v == nil {
		c.forget()
		v = &visitor{limiter: rate.NewLimiter(messageRate, messageBurst)}
		c.visitors[chat] = v
	}
	v.open++
	return v.limiter, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		v.open--
	}
}

// visitor is who has a chat, while they are here.
func (c *crowd) visitor(chat string) *visitor {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.visitors[chat]
}

// away reports whether a visitor has no connection left.
func (c *crowd) away(v *visitor) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return v.open == 0
}

// forget drops those who have left, once there are many.
func (c *crowd) forget() {
	if c.visitors == nil {
		c.visitors = map[string]*visitor{}
	}
	if len(c.visitors) < maxRemembered {
		return
	}
	for chat, v := range c.visitors {
		if v.open == 0 {
			delete(c.visitors, chat)
		}
	}
}
