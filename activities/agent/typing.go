package agent

import (
	"context"
	"time"

	"github.com/omnihub/omni/activities"
	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
)

// typingAfter keeps the indicator from flickering: most answers of quick
// agents are there before.
const typingAfter = 700 * time.Millisecond

// showTyping shows that somebody is at work while the agent thinks, until stop
// is called: an answer, a failure or a cancel. It is not shown afterwards; what
// the platform shows still ends by itself. With noticeSeconds it begins only then.
func (c *call) showTyping(ctx context.Context, chat message.Chat) (stop func()) {
	caps := c.Capabilities(c.turn.Channel)
	if c.Typer == nil || chat.ID == "" || !caps.Typing {
		return func() {}
	}
	after := max(typingAfter, time.Duration(c.agent.NoticeSeconds)*time.Second)
	return activities.ShowTyping(ctx, after, omni.TypingEvery(caps), func(ctx context.Context) {
		// An indicator that fails is no reason to stop.
		_ = c.Typer.Typing(ctx, c.turn.Channel, c.turn.InstanceID, chat)
	})
}
