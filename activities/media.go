package activities

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// MediaDeadline is how long a turn waits for the attachments of a message.
const MediaDeadline = time.Minute

// mediaWithin ends the fetching before nobody waits for it any more.
const mediaWithin = MediaDeadline - 5*time.Second

// FetchInput is the input of media.Fetch and media.GiveUp.
type FetchInput struct {
	Message MessageRef `json:"message"`
}

// FetchOutput is the output of media.Fetch and media.GiveUp: counts only.
type FetchOutput struct {
	Received int `json:"received"`
	Failed   int `json:"failed"`
}

// Fetch runs media.Fetch. What cannot be fetched is a note on the message,
// never an error: one means that nobody was there to do it.
func Fetch(ctx workflow.Context, in FetchInput) (FetchOutput, error) {
	return runRegular[FetchOutput](workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              QueueMedia,
		Summary:                "message " + in.Message.MessageID.String(),
		StartToCloseTimeout:    mediaWithin,
		ScheduleToCloseTimeout: mediaWithin,
		HeartbeatTimeout:       HeartbeatTimeout,
		RetryPolicy:            &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: 10 * time.Second},
	}), MediaFetch, in)
}

// FetchGiveUp runs media.GiveUp: what was not fetched by now is noted as failed.
func FetchGiveUp(ctx workflow.Context, in FetchInput) error {
	_, err := runLocal[FetchOutput](local(ctx), MediaGiveUp, in)
	return err
}
