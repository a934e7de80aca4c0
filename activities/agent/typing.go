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
// the platform shows still ends by itself. With noticeSeconds it begins only
// then, counted from the first try: people wait through all of them.
func (c *call) showTyping(ctx context.Context, chat message.Chat) (stop func()) {
	caps := c.Capabilities(c.turn.Channel)
	if c.Typer == nil || chat.ID == "" || !caps.Typing {
		return func() {}
	}
	after := typingAfter
	if notice := time.Duration(c.agent.NoticeSeconds) * time.Second; notice > 0 {
		var waited time.Duration
		if first := c.attempt.ScheduledAt; !first.IsZero() && c.attempt.Number > 1 {
			waited = time.Since(first)
		}
		after = max(notice-waited, 0)
	}
	return activities.ShowTyping(ctx, after, omni.TypingEvery(caps), func(ctx context.Context) {
		// An indicator that fails is no reason to stop.
		_ = c.Typer.Typing(ctx, c.turn.Channel, c.turn.InstanceID, chat)
	})
}
