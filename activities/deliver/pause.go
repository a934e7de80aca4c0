package deliver

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/sdk/temporal"

	"github.com/omnihub/omni/activities"
	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
)

func (d *delivery) ttl() time.Duration { return replyTTL(d.inst) }

func replyTTL(inst *omni.Instance) time.Duration {
	return time.Duration(inst.Settings.Messaging.ReplyTTLSeconds) * time.Second
}

// tooOld: the step has been tried for as long as a reply is worth sending.
func (d *delivery) tooOld() bool {
	return !d.attempt.ScheduledAt.IsZero() && time.Since(d.attempt.ScheduledAt) > d.ttl()
}

// untilTooOld shortens a wait that a reply which is not begun would not
// survive: it expires then, and holds nobody up until the platform's time.
func (d *delivery) untilTooOld(c omni.PartClaim, wait time.Duration) time.Duration {
	if c.Sent > 0 || d.attempt.ScheduledAt.IsZero() {
		return wait
	}
	return min(wait, max(d.ttl()-time.Since(d.attempt.ScheduledAt), 0)+time.Second)
}

// waitBusy waits for the other sender a little; then the activity is retried.
func (d *delivery) waitBusy(ctx context.Context, c omni.PartClaim, since time.Time) error {
	wait := min(max(c.Wait, 20*time.Millisecond), 250*time.Millisecond)
	if time.Since(since)+wait > busyWithin {
		return again("another sender is at work", pause(c.Wait, 1))
	}
	return sleep(ctx, wait, nil)
}

// waitLimited waits out what is left of a platform's wait, if that is a moment.
func (d *delivery) waitLimited(ctx context.Context, c omni.PartClaim) error {
	if c.Wait > limitedWithin {
		return limited(c.Error, c.Wait)
	}
	return sleep(ctx, c.Wait, d.cut)
}

// humanDelay pauses before the next part, typing shown where the channel can.
func (d *delivery) humanDelay(ctx context.Context, c omni.PartClaim) error {
	cfg := d.inst.Settings.Messaging
	if cfg.SplitDelayMs <= 0 || c.Part.Index+1 >= c.Part.Count || d.isCut() {
		return nil
	}
	var characters int
	if cfg.SplitDelayMode == omni.SplitDelayProportional {
		var err error
		if characters, err = d.Store.PartLength(ctx, d.in.Turn.TurnID, c.Part.Index+1); err != nil {
			return err
		}
	}
	if d.caps.Typing {
		defer activities.ShowTyping(ctx, 0, omni.TypingEvery(d.caps), func(ctx context.Context) { d.showTyping(ctx, c) })()
	}
	return sleep(ctx, omni.SplitDelay(cfg, characters), d.cut)
}

// isCut reports whether the turn was cut off.
func (d *delivery) isCut() bool {
	select {
	case <-d.cut:
		return true
	default:
		return false
	}
}

func (d *delivery) showTyping(ctx context.Context, c omni.PartClaim) {
	// An indicator that fails is no reason to stop.
	_ = ShowTyping(ctx, d.Gateway, d.in.Turn.Channel, d.in.Turn.InstanceID, c.MessageID, c.Chat)
}

// ShowTyping shows the indicator in a chat of an instance; id is the request's.
func ShowTyping(ctx context.Context, g Gateway, channelType string, instanceID, id uuid.UUID, chat message.Chat) error {
	typing := message.Outbound{ID: id.String(), Kind: message.KindTyping, Chat: chat}
	_, err := g.Send(ctx, channelType, instanceID, channels.OpTyping, typing, time.Now().Add(typingWithin))
	return err
}

// sleep pauses, at most until cut is closed.
func sleep(ctx context.Context, pause time.Duration, cut <-chan struct{}) error {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-cut: // the next claim says what is left to do
		return nil
	case <-timer.C:
		return nil
	}
}

// pause is what the platform said, else one that grows with the attempts.
func pause(after time.Duration, attempts int) time.Duration {
	if after > 0 {
		return after
	}
	return min(retryFirst<<min(max(attempts-1, 0), 5), retryMost)
}

// limitedReason is what people read of a wait: on the message, and in
// Temporal's UI on the step that waits.
func limitedReason(send *channels.SendError, wait time.Duration) string {
	whose := "this chat waits"
	if send.Scope == channels.ScopeAccount {
		whose = "all chats of this account wait"
	}
	return fmt.Sprintf("%s (%s %s)", send.Error(), whose, wait.Round(time.Millisecond))
}

// again asks Temporal to try once more after a pause.
func again(reason string, after time.Duration) error {
	return temporal.NewApplicationErrorWithOptions(reason, activities.ErrTypeDeliverLater,
		temporal.ApplicationErrorOptions{NextRetryDelay: after})
}

// limited is the same where somebody has to wait as told: also the workflow
// that ran the step on the quick path.
func limited(reason string, after time.Duration) error {
	return temporal.NewApplicationErrorWithOptions(reason, activities.ErrTypeDeliverLimited,
		temporal.ApplicationErrorOptions{NextRetryDelay: after})
}
