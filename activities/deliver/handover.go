package deliver

import (
	"context"
	"time"

	"github.com/omnihub/omni/activities"
	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
)

func (d *delivery) handOver(ctx context.Context, c omni.PartClaim) (message.Receipt, error) {
	started := time.Now()
	defer d.withdrawing(c)()
	op, out := channels.OpSend, d.outbound(c)
	if d.reacts(c) {
		op, out.Kind, out.TargetID, out.ReplyTo = channels.OpReact, message.KindReaction, c.ReplyTo, ""
	}
	r, err := d.Gateway.Send(ctx, d.in.Turn.Channel, d.in.Turn.InstanceID, op, out, d.deadline(ctx))
	if err == nil {
		d.Latencies.Observe(d.in.Turn.Channel, time.Since(started))
	}
	return r, err
}

// deadline is until when the gateway may begin what it is asked for now.
func (d *delivery) deadline(ctx context.Context) time.Time {
	deadline := time.Now().Add(sendTimeout)
	if at, ok := ctx.Deadline(); ok && at.Before(deadline) {
		return at
	}
	return deadline
}

// withdrawing takes a part that still waits at the gateway back as soon as its
// turn is cut off. One that was begun arrives all the same.
func (d *delivery) withdrawing(c omni.PartClaim) (stop func()) {
	if d.cut == nil {
		return func() {}
	}
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		select {
		case <-done:
		case <-d.cut:
			// A withdrawal that gets lost costs one bubble, like one that comes late.
			_ = d.Gateway.Withdraw(d.in.Turn.Channel, d.in.Turn.InstanceID, c.SendKey())
		}
	}()
	return func() { close(done); <-stopped }
}

// remembered asks the gateway what became of a key: its receipt, or why it was
// certainly not sent. Neither: nothing is remembered, or nobody can be asked.
func (a *Activities) remembered(ctx context.Context, turn activities.TurnRef, key string) (*message.Receipt, *channels.SendError) {
	reply, err := a.Gateway.Outcome(ctx, turn.Channel, turn.InstanceID, key)
	switch {
	case err != nil || reply == nil:
		return nil, nil //nolint:nilerr // as said: what cannot be asked is not known
	case reply.Receipt != nil:
		return reply.Receipt, nil
	case reply.Error != nil && reply.Error.Certain:
		return nil, reply.Error.AsSendError()
	}
	return nil, nil
}

// resume finds out about a part that somebody may have handed over: the
// gateway may remember; a channel that takes a client id is simply asked
// again with the same one; else it is unknown.
func (d *delivery) resume(ctx context.Context, c omni.PartClaim) (message.Receipt, error) {
	switch receipt, refused := d.remembered(ctx, d.in.Turn, c.SendKey()); {
	case receipt != nil:
		return *receipt, nil
	case refused != nil:
		return message.Receipt{}, refused
	}
	if d.repeatable(c) {
		// If the next try is refused and there is none after it, people may have seen it all the same.
		if err := d.Store.DoubtPart(ctx, c.MessageID); err != nil {
			return message.Receipt{}, err
		}
		return d.handOver(ctx, c)
	}
	return d.resumeUnknown(ctx, c)
}

// resumeUnknown is for a part of which nobody knows whether it was handed over.
func (d *delivery) resumeUnknown(ctx context.Context, c omni.PartClaim) (message.Receipt, error) {
	unknown := &channels.SendError{Kind: channels.ErrUnknown, Reason: "a former sender may have sent it"}
	resend, err := d.mayResend(ctx, c.MessageID, c.Attempts-1, unknown) // this claim is a try already
	if err != nil {
		return message.Receipt{}, err
	}
	if resend {
		return d.handOver(ctx, c)
	}
	return message.Receipt{}, unknown
}

// reacts reports whether the part is an emoji that an agent puts on a message.
func (d *delivery) reacts(c omni.PartClaim) bool {
	return !d.in.Outbound.Valid && c.Content.Type == message.TypeReaction
}

// repeatable reports whether the part may be handed over again without knowing
// what came of it: the channel knows it again, or it is the same emoji on the
// same message.
func (d *delivery) repeatable(c omni.PartClaim) bool { return d.caps.IdempotentSend || d.reacts(c) }
