package webchat

import (
	"context"
	"time"
)

// presenceTimeout bounds what is said of who is there: nobody waits for it.
const presenceTimeout = 5 * time.Second

// here says that the visitor has the page open. It is said again with every
// ping that the page answers.
func (c *connection) here(ctx context.Context) {
	if c.page.deps.Presence == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, presenceTimeout)
	defer cancel()
	c.visitor.saying.Lock()
	defer c.visitor.saying.Unlock()
	if c.page.crowd.away(c.visitor) {
		return // left meanwhile
	}
	if err := c.page.deps.Presence.Online(ctx, c.chat); err != nil {
		c.page.deps.Log.Debug("saying that a visitor is there", "error", err)
	}
}

// left says that the visitor has gone, unless another of their pages is open.
func (c *connection) left(ctx context.Context) {
	if c.page.deps.Presence == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), presenceTimeout)
	defer cancel()
	c.visitor.saying.Lock()
	defer c.visitor.saying.Unlock()
	if !c.page.crowd.away(c.visitor) {
		return
	}
	if err := c.page.deps.Presence.Offline(ctx, c.chat); err != nil {
		c.page.deps.Log.Debug("saying that a visitor has left", "error", err)
	}
}
