package deliver

import (
	"context"

	"github.com/omnihub/omni/internal/omni"
)

// settle gives its outcome to a part of a turn that was cut off: a former
// sender may have handed it over. It is asked after, never sent again.
func (d *delivery) settle(ctx context.Context, c omni.PartClaim) error {
	status, externalID, reason := omni.StatusUnknown, "", "a former sender may have sent it"
	reply, err := d.Gateway.Outcome(ctx, d.in.Turn.Channel, d.in.Turn.InstanceID, c.MessageID.String())
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil || reply == nil: // nothing is remembered, or nobody can be asked
	case reply.Receipt != nil:
		status, externalID, reason = omni.StatusSent, reply.Receipt.ExternalID, ""
	case reply.Error != nil && reply.Error.Certain:
		send := reply.Error.AsSendError()
		status, reason = omni.StatusFailed, send.Error()
		if send.Kind.Retryable() {
			status = omni.StatusQueued // and with its turn cancelled
		}
	}
	_, _, err = d.receipt(ctx, c, omni.ReceiptParams{Status: string(status), ExternalID: externalID, Error: reason})
	return err
}
