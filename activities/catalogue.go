package activities

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// The steps, named as in docs/pipeline.md and in every trace.
const (
	IdentityResolve = "identity.Resolve"
	AccessCheck     = "access.Check"
	MediaFetch      = "media.Fetch"
	MediaGiveUp     = "media.GiveUp"
	TurnJoin        = "turn.Join"
	TurnReady       = "turn.Ready"
	TurnClose       = "turn.Close"
	TurnYield       = "turn.Yield"
	TurnFinish      = "turn.Finish"
	TurnWake        = "turn.Wake"
	TurnSweep       = "turn.Sweep"
	AgentReply      = "agent.Reply"
	AgentAwait      = "agent.Await"
	AgentGiveUp     = "agent.GiveUp"
	DeliverSend     = "deliver.Send"
	FollowUpArm     = "followup.Arm"
	FollowUpClaim   = "followup.Claim"
)

// The queues of regular activities. Local ones run where the workflow runs.
const (
	QueuePipeline = "omni-pipeline"
	QueueAgents   = "omni-agents"
	QueueDelivery = "omni-delivery"
	QueueMedia    = "omni-media"
)

// QuickDeadline is how long a quick step may take before the regular activity
// takes over. It stays below the workflow task's timeout.
const QuickDeadline = 4 * time.Second

// HeartbeatTimeout is after how long without a sign of life a regular activity
// is given to another process. The client sends one at most every 80 % of it:
// less than this leaves a busy machine too little time for its call.
const HeartbeatTimeout = 8 * time.Second

// untilItAnswers is longer than any database is away. It is said, because the
// client takes the limit of one try for that of all if it is not.
const untilItAnswers = 365 * 24 * time.Hour

// local are the options of a step that is one short transaction: tried again
// until the database answers, because nothing else can be done without it.
func local(ctx workflow.Context) workflow.Context {
	return workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{
		ScheduleToCloseTimeout: untilItAnswers,
		StartToCloseTimeout:    10 * time.Second,
		RetryPolicy: &temporal.RetryPolicy{
			InitialInterval: 50 * time.Millisecond, BackoffCoefficient: 2, MaximumInterval: 3 * time.Second,
		},
	})
}

// quick are the options of a step that usually is quick: one try, then the
// regular activity takes over.
func quick(ctx workflow.Context) workflow.Context {
	return workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{
		ScheduleToCloseTimeout: QuickDeadline,
		RetryPolicy:            &temporal.RetryPolicy{MaximumAttempts: 1},
	})
}

func runLocal[Out any](ctx workflow.Context, name string, in any) (Out, error) {
	var out Out
	err := workflow.ExecuteLocalActivity(ctx, name, in).Get(ctx, &out)
	return out, err
}

func runRegular[Out any](ctx workflow.Context, name string, in any) (Out, error) {
	var out Out
	err := workflow.ExecuteActivity(ctx, name, in).Get(ctx, &out)
	return out, err
}
