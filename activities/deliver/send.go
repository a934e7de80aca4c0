package deliver

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/sdk/temporal"

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
		c, err := d.claim(ctx)
		if err != nil {
			return activities.SendOutput{}, err
		}
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
	var receipt message.Receipt
	if c.State == "resume" {
		receipt, err = d.resume(ctx, c)
	} else {
		receipt, err = d.handOver(ctx, c)
	}
	if err == nil {
		return d.sent(ctx, c, receipt)
	}
	if ctx.Err() != nil {
		// Out of time with the request under way: the part stays in sending,
		// and whoever goes on finds out.
		return out, false, ctx.Err()
	}
	var send *channels.SendError
	if !errors.As(err, &send) {
		return out, false, err
	}
	return d.notSent(ctx, c, send)
}

func (d *delivery) handOver(ctx context.Context, c omni.PartClaim) (message.Receipt, error) {
	started := time.Now()
	deadline := started.Add(sendTimeout)
	if at, ok := ctx.Deadline(); ok && at.Before(deadline) {
		deadline = at
	}
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	r, err := d.Gateway.Send(ctx, d.in.Turn.Channel, d.in.Turn.InstanceID, channels.OpSend, d.outbound(c), deadline)
	took := time.Since(started)
	if err != nil {
		d.Observe(ctx, d.in.Turn.Channel, "failed", took)
		return r, err
	}
	d.Latencies.Observe(d.in.Turn.Channel, took)
	d.Observe(ctx, d.in.Turn.Channel, "sent", took)
	return r, nil
}

// resume finds out about a part that somebody may have handed over: the
// gateway may remember; a channel that takes a client id is simply asked
// again with the same one; else it is unknown.
func (d *delivery) resume(ctx context.Context, c omni.PartClaim) (message.Receipt, error) {
	reply, err := d.Gateway.Outcome(ctx, d.in.Turn.Channel, d.in.Turn.InstanceID, c.MessageID.String())
	switch {
	case err != nil || reply == nil: // nothing is remembered, or nobody can be asked
	case reply.Receipt != nil:
		return *reply.Receipt, nil
	case reply.Error != nil && reply.Error.Certain && !reply.Error.Kind.Retryable():
		return message.Receipt{}, reply.Error.AsSendError()
	}
	if d.caps.IdempotentSend || d.inst.Settings.Messaging.UnknownPolicy == "resend" {
		return d.handOver(ctx, c)
	}
	return message.Receipt{}, &channels.SendError{Kind: channels.ErrUnknown, Reason: "a former sender may have sent it"}
}

// sent records the receipt; the last one finishes the turn.
func (d *delivery) sent(ctx context.Context, c omni.PartClaim, r message.Receipt) (activities.SendOutput, bool, error) {
	finished, wake, err := d.receipt(ctx, c, omni.StatusSent, r.ExternalID, "")
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
	out := activities.SendOutput{Sent: c.Sent, Error: send.Error()}
	switch {
	case send.Certain && send.Kind.Retryable() && !d.tooOld():
		if _, _, err := d.receipt(ctx, c, omni.StatusQueued, "", send.Error()); err != nil {
			return out, false, err
		}
		if send.Kind == channels.ErrNotConnected && send.RetryAfter == 0 {
			// Nobody was bothered: the session is coming up, usually within a second.
			send.RetryAfter = min(time.Duration(c.Attempts)*reconnectFirst, reconnectMost)
		}
		return out, false, later(send.Error(), send.RetryAfter, c.Attempts)
	case send.Certain || d.caps.IdempotentSend && !send.Kind.Retryable() && send.Kind != channels.ErrUnknown:
		_, _, err := d.receipt(ctx, c, omni.StatusFailed, "", send.Error())
		out.Outcome = activities.OutcomeFailed
		return out, false, err
	case d.caps.IdempotentSend && !d.tooOld():
		// The same key again: the part stays in sending.
		return out, false, later(send.Error(), send.RetryAfter, c.Attempts)
	case d.inst.Settings.Messaging.UnknownPolicy == "resend" && !d.tooOld():
		return out, false, later(send.Error(), send.RetryAfter, c.Attempts)
	}
	if _, _, err := d.receipt(ctx, c, omni.StatusUnknown, "", send.Error()); err != nil {
		return out, false, err
	}
	out.Outcome = activities.OutcomeUnknown
	return out, d.inst.Settings.Messaging.UnknownPolicy == "skip" && !d.in.Outbound.Valid, nil
}

func (d *delivery) receipt(ctx context.Context, c omni.PartClaim, status omni.Status, externalID, reason string) (bool, []string, error) {
	p := omni.ReceiptParams{ChatID: d.in.Turn.ChatID, MessageID: c.MessageID, Status: string(status), ExternalID: externalID,
		Error: reason, WorkflowID: d.in.Turn.WorkflowID, Epoch: d.in.Turn.Epoch, FinishAs: d.finishAs(),
		Attempt: omni.Attempt{StartedAt: d.attempt.StartedAt, Number: c.Attempts}}
	if !d.in.Outbound.Valid {
		p.TurnID = uuid.NullUUID{UUID: d.in.Turn.TurnID, Valid: true}
	}
	return d.Store.ReceiptPart(ctx, p)
}

func (d *delivery) finishAs() string {
	if d.in.Fallback {
		return activities.OutcomeFallback
	}
	return activities.OutcomeAnswered
}

// tooOld: the step has been tried for as long as a reply is worth sending.
func (d *delivery) tooOld() bool {
	ttl := time.Duration(d.inst.Settings.Messaging.ReplyTTLSeconds) * time.Second
	return !d.attempt.ScheduledAt.IsZero() && time.Since(d.attempt.ScheduledAt) > ttl
}

// waitBusy waits for the other sender a little; then the activity is retried.
func (d *delivery) waitBusy(ctx context.Context, c omni.PartClaim, since time.Time) error {
	wait := min(max(c.Wait, 20*time.Millisecond), 250*time.Millisecond)
	if time.Since(since)+wait > busyWithin {
		return later("another sender is at work", c.Wait, 1)
	}
	return sleep(ctx, wait, nil)
}

// humanDelay pauses between two parts, typing shown where the channel can.
func (d *delivery) humanDelay(ctx context.Context, c omni.PartClaim) error {
	delay := time.Duration(d.inst.Settings.Messaging.SplitDelayMs) * time.Millisecond
	if delay <= 0 || c.Part.Index+1 >= c.Part.Count {
		return nil
	}
	if d.caps.Typing {
		typing := message.Outbound{ID: c.MessageID.String(), Kind: message.KindTyping, Chat: c.Chat}
		// An indicator that fails is no reason to stop.
		_, _ = d.Gateway.Send(ctx, d.in.Turn.Channel, d.in.Turn.InstanceID, channels.OpTyping, typing, time.Now().Add(delay))
	}
	return sleep(ctx, delay, d.cut)
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

// later asks Temporal to try again: after what the platform said, else with
// growing pauses.
func later(reason string, after time.Duration, attempts int) error {
	if after <= 0 {
		after = min(retryFirst<<min(max(attempts-1, 0), 5), 30*time.Second)
	}
	return temporal.NewApplicationErrorWithOptions(reason, activities.ErrTypeDeliverLater,
		temporal.ApplicationErrorOptions{NextRetryDelay: after})
}
