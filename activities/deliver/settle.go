package deliver

import (
	"context"

	"github.com/omnihub/omni/internal/omni"
)

// settle gives its outcome to a part of a turn that was cut off: a former
// sender may have handed it over. It is asked after, never sent again.
func (d *delivery) settle(ctx context.Context, c omni.PartClaim) error {
	live, err := d.Store.LivePart(ctx, c.MessageID)
	switch {
	case err != nil:
		return err
	case live != nil && live.Bubble == 0:
		return d.settleLive(ctx, d.in.Turn, live)
	case live != nil:
		c.Bubble = live.Bubble
	}
	status, externalID, reason := omni.StatusUnknown, "", "a former sender may have sent it"
	receipt, refused := d.remembered(ctx, d.in.Turn, c.SendKey())
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case receipt != nil:
		status, externalID, reason = omni.StatusSent, receipt.ExternalID, ""
	case refused != nil:
		status, reason = omni.StatusFailed, refused.Error()
		if refused.Kind.Retryable() {
			status = omni.StatusQueued // and with its turn cancelled
		}
	}
	_, _, err = d.receipt(ctx, c, omni.ReceiptParams{Status: string(status), ExternalID: externalID, Error: reason})
	return err
}
