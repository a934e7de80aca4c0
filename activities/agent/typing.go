package agent

import (
	"context"
	"time"

	"github.com/omnihub/omni/channels/message"
)

// showTyping shows that somebody is at work once the agent has thought for
// noticeSeconds, until stop is called.
func (c *call) showTyping(ctx context.Context, chat message.Chat) (stop func()) {
	if c.agent.NoticeSeconds <= 0 || c.Typer == nil || chat.ID == "" || !c.Capabilities(c.turn.Channel).Typing {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		timer := time.NewTimer(time.Duration(c.agent.NoticeSeconds) * time.Second)
		defer timer.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-timer.C:
			}
			// An indicator that fails is no reason to stop.
			_ = c.Typer.Typing(ctx, c.turn.Channel, c.turn.InstanceID, chat)
			timer.Reset(typingEvery)
		}
	}()
	return func() { cancel(); <-stopped }
}
