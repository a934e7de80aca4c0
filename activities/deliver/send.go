package deliver

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/omnihub/omni/activities"
	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
)

// Send is deliver.Send.
func (a *Activities) Send(ctx context.Context, in activities.SendInput) (activities.SendOutput, error) {
	d, err := a.begin(ctx, in)
	if errors.Is(err, omni.ErrNotFound) {
		return a.orphaned(ctx, in)
	}
	if err != nil {
		return activities.SendOutput{}, err
	}
	if !in.Outbound.Valid {
		cut, cancel := context.WithCancel(ctx)
		defer cancel()
		stop, err := a.Cancels.OnCancel(in.Turn.TurnID, cancel)
		if err != nil {
			return activities.SendOutput{}, fmt.Errorf("listening for the cancel of turn %s: %w", in.Turn.TurnID, err)
		}
		defer stop()
		d.cut = cut.Done()
	}
	defer activities.Heartbeat(ctx)()
	defer d.renew(ctx)()
	var out activities.SendOutput
	defer func() {
		if !out.Finished { // also where run panics
			d.release(ctx)
		}
	}()
	out, err = d.run(ctx)
	return out, err
}

// orphaned ends a delivery whose instance was deleted. A turn fails in
// turn.Finish; a message sent by API has only its row.
func (a *Activities) orphaned(ctx context.Context, in activities.SendInput) (activities.SendOutput, error) {
	out := activities.SendOutput{Outcome: activities.OutcomeFailed, Error: "the instance was deleted"}
	if !in.Outbound.Valid {
		return out, nil
	}
	_, _, err := a.Store.ReceiptPart(ctx, omni.ReceiptParams{ChatID: in.Turn.ChatID, MessageID: in.Outbound.UUID,
		Status: string(omni.StatusFailed), Error: out.Error, Attempt: activities.NewAttempt(ctx)})
	return out, err
}

// run sends parts until there is none left or one stops the rest.
func (d *delivery) run(ctx context.Context) (activities.SendOutput, error) {
	var busySince time.Time
	for {
		if ctx.Err() != nil { // before a part is claimed that nobody would hand over
			return activities.SendOutput{}, ctx.Err()
		}
		c, err := d.claim(ctx)
		if err != nil {
			return activities.SendOutput{}, err
		}
		d.began = time.Now()
		switch c.State {
		case "settle":
			if err := d.settle(ctx, c); err != nil {
				return activities.SendOutput{}, err
			}
		case "claimed", "resume":
			busySince = time.Time{}
			out, more, err := d.part(ctx, c)
			if err != nil || !more {
				return out, err
			}
			if err := d.humanDelay(ctx, c); err != nil {
				return activities.SendOutput{}, err
			}
		case "busy":
			if busySince.IsZero() {
				busySince = time.Now()
			}
			if err := d.waitBusy(ctx, c, busySince); err != nil {
				return activities.SendOutput{}, err
			}
		case "later":
			if err := d.waitLimited(ctx, c); err != nil {
				return activities.SendOutput{}, err
			}
		default:
			return ended(c), nil
		}
	}
}

// ended says what a claim that handed nothing out means for the unit.
func ended(c omni.PartClaim) activities.SendOutput {
	out := activities.SendOutput{Sent: c.Sent, Error: c.Error}
	switch c.State {
	case "done":
		out.Outcome = activities.OutcomeAnswered
	case "expired":
		out.Outcome = activities.OutcomeExpired
	case "cancelled":
		out.Outcome = activities.OutcomeCancelled
	case "adopted":
		out.Outcome = activities.OutcomeAdopted
	default: // stopped
		out.Outcome = activities.OutcomeFailed
		if c.Status == string(omni.StatusUnknown) {
			out.Outcome = activities.OutcomeUnknown
		}
	}
	return out
}

// part brings one claimed part to a receipt. more: the next one may be claimed.
func (d *delivery) part(ctx context.Context, c omni.PartClaim) (out activities.SendOutput, more bool, err error) {
	live, err := d.live(ctx, c)
	if err != nil {
		return out, false, err
	}
	switch {
	case live == nil:
	case live.Bubble > 0: // as any other part, by now
		c.Bubble, c.Content.Text = live.Bubble, restOf(c.Content.Text, live.Shown)
	case live.ExternalID != "" || c.State == "resume":
		return d.finish(ctx, c, live)
	}
	var receipt message.Receipt
	if c.State == "resume" {
		receipt, err = d.resume(ctx, c)
	} else {
		receipt, err = d.handOver(ctx, c)
	}
	if err == nil {
		return d.sent(ctx, c, receipt)
	}
	return d.unfinished(ctx, c, err)
}

// unfinished goes on after a hand-over without a receipt.
func (d *delivery) unfinished(ctx context.Context, c omni.PartClaim, err error) (out activities.SendOutput, more bool, _ error) {
	var send *channels.SendError
	if !errors.As(err, &send) {
		return out, false, err
	}
	if ctx.Err() != nil {
		// Out of time with the request under way: the part stays in sending,
		// and whoever goes on finds out.
		return out, false, ctx.Err()
	}
	if d.isCut() && send.Certain && send.Kind.Retryable() {
		_, _, err := d.receipt(ctx, c, omni.ReceiptParams{Status: string(omni.StatusQueued), Error: send.Error()})
		return out, err == nil, err // the next claim says that it is over
	}
	return d.notSent(ctx, c, send)
}

// sent records the receipt; the last one finishes the turn.
func (d *delivery) sent(ctx context.Context, c omni.PartClaim, r message.Receipt) (activities.SendOutput, bool, error) {
	finished, wake, err := d.receipt(ctx, c, omni.ReceiptParams{Status: string(omni.StatusSent), ExternalID: r.ExternalID})
	if err != nil {
		return activities.SendOutput{}, false, err
	}
	if !finished {
		return activities.SendOutput{}, !d.in.Outbound.Valid, nil
	}
	if received := d.in.Turn.ReceivedAt; !received.IsZero() && d.Replied != nil {
		d.Replied(ctx, d.in.Turn.Channel, time.Since(received))
	}
	out := activities.SendOutput{Outcome: d.finishAs(), Sent: c.Sent + 1, Finished: true, Wake: wake}
	out.FollowUps = !d.in.Outbound.Valid && out.Outcome == activities.OutcomeAnswered && len(d.inst.Settings.Messaging.FollowUps) > 0
	return out, false, nil
}

// notSent decides what a failed hand-over means.
func (d *delivery) notSent(ctx context.Context, c omni.PartClaim, send *channels.SendError) (activities.SendOutput, bool, error) {
	switch {
	case send.Certain && send.Kind.Retryable():
		return d.postpone(ctx, c, send)
	case send.Certain || d.repeatable(c) && !send.Kind.Retryable() && send.Kind != channels.ErrUnknown:
		return d.failed(ctx, c, send)
	case d.repeatable(c) && !d.tooOld():
		// The same key again: the part stays in sending.
		return activities.SendOutput{}, false, again(send.Error(), pause(send.RetryAfter, c.Attempts))
	}
	resend, err := d.mayResend(ctx, c.MessageID, c.Attempts, send)
	if err != nil {
		return activities.SendOutput{}, false, err
	}
	if resend {
		return activities.SendOutput{}, false, again(send.Error(), pause(send.RetryAfter, c.Attempts))
	}
	return d.unknown(ctx, c, send)
}

// postpone is for a part that is known not to have been sent. Where the
// platform says how long to wait, the row does too: whoever goes on waits.
func (d *delivery) postpone(ctx context.Context, c omni.PartClaim, send *channels.SendError) (activities.SendOutput, bool, error) {
	if d.tooOld() && c.Sent > 0 { // what is begun can no longer expire
		return d.failed(ctx, c, send)
	}
	p := omni.ReceiptParams{Status: string(omni.StatusQueued), Error: send.Error()}
	wait := pause(send.RetryAfter, c.Attempts)
	switch {
	case send.Kind == channels.ErrRateLimited:
		wait = d.untilTooOld(c, wait)
		p.RetryAfter = wait
		p.Error = limitedReason(send, wait)
	case send.Kind == channels.ErrNotConnected && send.RetryAfter == 0:
		// Nobody was bothered: the session is coming up, usually within a second.
		wait = min(time.Duration(c.Attempts)*reconnectFirst, reconnectMost)
	}
	if _, _, err := d.receipt(ctx, c, p); err != nil {
		return activities.SendOutput{}, false, err
	}
	if d.tooOld() { // the next claim says so
		return activities.SendOutput{}, false, again(send.Error(), atOnce)
	}
	if p.RetryAfter > 0 {
		return activities.SendOutput{}, false, limited(p.Error, wait)
	}
	return activities.SendOutput{}, false, again(send.Error(), wait)
}

// failed ends a part, and with it the reply; of a reaction that the platform
// does not take, only that.
func (d *delivery) failed(ctx context.Context, c omni.PartClaim, send *channels.SendError) (activities.SendOutput, bool, error) {
	_, _, err := d.receipt(ctx, c, omni.ReceiptParams{Status: string(omni.StatusFailed), Error: send.Error()})
	if d.reacts(c) && send.Kind != channels.ErrBadCredentials {
		return activities.SendOutput{}, err == nil, err
	}
	return activities.SendOutput{Outcome: activities.OutcomeFailed, Sent: c.Sent, Error: send.Error()}, false, err
}

// unknown parks a part: a receipt of the platform or a person may say later
// what became of it. With policy skip the others go on.
func (d *delivery) unknown(ctx context.Context, c omni.PartClaim, send *channels.SendError) (activities.SendOutput, bool, error) {
	if _, _, err := d.receipt(ctx, c, omni.ReceiptParams{Status: string(omni.StatusUnknown), Error: send.Error()}); err != nil {
		return activities.SendOutput{}, false, err
	}
	out := activities.SendOutput{Outcome: activities.OutcomeUnknown, Sent: c.Sent, Error: send.Error()}
	return out, d.inst.Settings.Messaging.UnknownPolicy == omni.UnknownSkip && !d.in.Outbound.Valid, nil
}

// mayResend says whether policy resend lets a part go out once more after a
// try of which nobody knows what came, at the risk of a second bubble; and no
// more than maxResends.
func (d *delivery) mayResend(ctx context.Context, part uuid.UUID, try int, send *channels.SendError) (bool, error) {
	if d.inst.Settings.Messaging.UnknownPolicy != omni.UnknownResend || d.tooOld() {
		return false, nil
	}
	times, err := d.Store.UncertainPart(ctx, part, try, send.Error())
	return times <= maxResends, err
}

// receipt records what came of a part, also where the turn was cancelled
// meanwhile: what happened, happened.
func (d *delivery) receipt(ctx context.Context, c omni.PartClaim, p omni.ReceiptParams) (bool, []string, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), receiptWithin)
	defer cancel()
	p.ChatID, p.MessageID, p.WorkflowID, p.Epoch = d.in.Turn.ChatID, c.MessageID, d.in.Turn.WorkflowID, d.in.Turn.Epoch
	p.FinishAs, p.Attempt = d.finishAs(), omni.Attempt{StartedAt: d.attempt.StartedAt, Number: c.Attempts}
	if !d.in.Outbound.Valid {
		p.TurnID = uuid.NullUUID{UUID: d.in.Turn.TurnID, Valid: true}
	}
	finished, wake, err := d.Store.ReceiptPart(ctx, p)
	if err == nil {
		d.Observe(ctx, d.in.Turn.Channel, p.Status, time.Since(d.began))
	}
	return finished, wake, err
}

func (d *delivery) finishAs() string {
	if d.in.Fallback {
		return activities.OutcomeFallback
	}
	return activities.OutcomeAnswered
}
