package deliver

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/omnihub/omni/activities"
	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
)

// live says whether a claimed part was begun while the answer was being said.
// Then somebody has tried it before.
func (d *delivery) live(ctx context.Context, c omni.PartClaim) (*omni.LivePart, error) {
	if d.in.Outbound.Valid || c.State == "claimed" && c.Attempts <= 1 {
		return nil, nil //nolint:nilnil // as LivePart: it is not a live one
	}
	return d.Store.LivePart(ctx, c.MessageID)
}

// finish writes the final text into the message that shows a part already.
func (d *delivery) finish(ctx context.Context, c omni.PartClaim, live *omni.LivePart) (out activities.SendOutput, more bool, err error) {
	if live.ExternalID == "" {
		r, shown, err := d.resumeLive(ctx, c, live)
		if err != nil {
			return d.unfinished(ctx, c, err)
		}
		live.ExternalID, live.Shown = r.ExternalID, shown
	}
	done := message.Receipt{ExternalID: live.ExternalID}
	if live.Shown == c.Content.Text {
		return d.sent(ctx, c, done)
	}
	edit := d.outbound(c)
	edit.Kind, edit.TargetID, edit.ReplyTo = message.KindEdit, live.ExternalID, ""
	edit.Key = c.MessageID.String() + "/" + uuid.NewString() // an edit may be made again, and by each try is
	_, err = d.Gateway.Send(ctx, d.in.Turn.Channel, d.in.Turn.InstanceID, channels.OpEdit, edit, d.deadline(ctx))
	if err == nil {
		return d.sent(ctx, c, done)
	}
	var send *channels.SendError
	switch {
	case !errors.As(err, &send):
		return out, false, err
	case ctx.Err() != nil:
		return out, false, ctx.Err()
	case !send.Certain || send.Kind.Retryable():
		return d.editLater(ctx, c, send)
	case send.Kind == channels.ErrBadCredentials:
		return d.failed(ctx, c, send)
	}
	err = d.replace(ctx, c, live, send)
	return out, err == nil, err
}

// resumeLive finds out about the first send of a part: the message that it
// made, and what that shows.
func (d *delivery) resumeLive(ctx context.Context, c omni.PartClaim, live *omni.LivePart) (r message.Receipt, shown string, err error) {
	receipt, refused := d.remembered(ctx, d.in.Turn, c.SendKey())
	switch {
	case receipt != nil:
		return *receipt, live.Shown, nil
	case refused == nil && d.caps.IdempotentSend:
		first := c // the same key carries the same text
		first.Content.Text = live.Shown
		r, err = d.handOver(ctx, first)
		return r, live.Shown, err
	case refused == nil:
		r, err = d.resumeUnknown(ctx, c)
		return r, c.Content.Text, err
	default: // it certainly was not sent
		r, err = d.handOver(ctx, c)
		return r, c.Content.Text, err
	}
}

// editLater is for an edit that may be made again: the part stays as it is
// shown meanwhile.
func (d *delivery) editLater(ctx context.Context, c omni.PartClaim, send *channels.SendError) (activities.SendOutput, bool, error) {
	switch {
	case d.isCut(): // the next claim says that it is over
		return activities.SendOutput{}, true, nil
	case d.tooOld():
		return d.failed(ctx, c, send)
	case send.Kind == channels.ErrRateLimited:
		wait := pause(send.RetryAfter, c.Attempts)
		return activities.SendOutput{}, false, limited(limitedReason(send, wait), wait)
	case send.Kind == channels.ErrNotConnected && send.RetryAfter == 0:
		return activities.SendOutput{}, false, again(send.Error(), min(time.Duration(c.Attempts)*reconnectFirst, reconnectMost))
	default:
		return activities.SendOutput{}, false, again(send.Error(), pause(send.RetryAfter, c.Attempts))
	}
}

// replace is for a message that the platform does not let us edit: somebody
// deleted it, or its time is over. It is taken back, and the whole text goes
// out anew; where it cannot be taken back, what it does not show yet does.
func (d *delivery) replace(ctx context.Context, c omni.PartClaim, live *omni.LivePart, why *channels.SendError) error {
	err := d.takeBack(ctx, d.in.Turn, live)
	var send *channels.SendError
	if errors.As(err, &send) && send.Kind.Retryable() && !d.tooOld() {
		return again(send.Error(), pause(send.RetryAfter, c.Attempts))
	}
	rest := err != nil && restOf(c.Content.Text, live.Shown) != c.Content.Text
	return d.Store.ReplaceLive(ctx, d.in.Turn.ChatID, c.MessageID, rest, "sent anew: "+why.Error())
}

// takeBack deletes what is shown of a live part.
func (a *Activities) takeBack(ctx context.Context, turn activities.TurnRef, p *omni.LivePart) error {
	if !a.Capabilities(turn.Channel).Delete {
		return &channels.SendError{Kind: channels.ErrUnsupported, Certain: true, Reason: "the channel cannot delete"}
	}
	out := message.Outbound{ID: p.MessageID.String(), Key: p.MessageID.String() + "/" + uuid.NewString(), Kind: message.KindDelete,
		Chat: p.Chat, TargetID: p.ExternalID}
	_, err := a.Gateway.Send(ctx, turn.Channel, turn.InstanceID, channels.OpDelete, out, time.Now().Add(liveSendTimeout))
	return err
}

// restOf is what of a text is not shown yet: all of it, where what is shown is
// not its beginning.
func restOf(text, shown string) string {
	rest, begins := strings.CutPrefix(text, shown)
	if rest = strings.TrimSpace(rest); !begins || shown == "" || rest == "" {
		return text
	}
	return rest
}
