package activities

import (
	"errors"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// SendInput is the input of deliver.Send: the parts of a turn, or (Turn zero)
// one outbound message.
type SendInput struct {
	Turn     TurnRef       `json:"turn"`
	Outbound uuid.NullUUID `json:"outbound"`
	Fallback bool          `json:"fallback,omitempty"` // what is sent is the fallback text
	Error    string        `json:"error,omitempty"`    // with Fallback: why
}

// SendOutput is the output of deliver.Send. Outcome is an Outcome constant.
// The receipt of the last part also finishes the turn; Finished says so, and
// Wake then is what turn.Finish would have said.
type SendOutput struct {
	Outcome  string   `json:"outcome"`
	Sent     int      `json:"sent"`
	Error    string   `json:"error,omitempty"`
	Finished bool     `json:"finished,omitempty"`
	Wake     []string `json:"wake,omitempty"`

	FollowUps bool `json:"follow_ups,omitempty"` // followup.Arm is owed
}

// The stable types of delivery errors.
const (
	ErrTypeDeliverLater   = "deliver_later"   // not sent: not connected, or another sender is at work
	ErrTypeDeliverLimited = "deliver_limited" // not sent: not before the platform, or its rate limit, says so
)

// Send runs deliver.Send: locally for one part on a quick channel, else as a
// regular activity. It is retried until the reply is sent, expired or refused:
// the rows say what was sent, so no retry repeats a part.
func Send(ctx workflow.Context, in SendInput, isQuick bool) (SendOutput, error) {
	if isQuick {
		out, err := runLocal[SendOutput](quick(ctx), DeliverSend, in)
		if err == nil || Final(err) {
			return out, err
		}
		if err := waitLimited(ctx, err); err != nil {
			return out, err
		}
	}
	return runRegular[SendOutput](workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:           QueueDelivery,
		StartToCloseTimeout: time.Hour, // many parts with human delays; heartbeats find the dead
		HeartbeatTimeout:    HeartbeatTimeout,
		RetryPolicy: &temporal.RetryPolicy{
			// How long to wait for a platform the step says itself; this is for
			// what ended without a word, a process that died.
			InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: 4 * time.Second,
		},
	}), DeliverSend, in)
}

// waitLimited waits as long as the quick path was told to: a regular activity
// would be told the same, only later.
func waitLimited(ctx workflow.Context, failure error) error {
	app, ok := errors.AsType[*temporal.ApplicationError](failure)
	if !ok || app.Type() != ErrTypeDeliverLimited || app.NextRetryDelay() <= 0 {
		return nil
	}
	return workflow.NewTimerWithOptions(ctx, app.NextRetryDelay(), workflow.TimerOptions{Summary: app.Message()}).Get(ctx, nil)
}
