package activities

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// The steps, named as in docs/pipeline and in every trace.
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

// Step describes one entry of the catalogue; docs/pipeline-steps.md is made
// from it and a test holds it against what the workers register.
type Step struct {
	Name  string
	Queue string // "" for steps that only run locally
	Local bool
	Does  string
}

// Steps lists the catalogue in the order of the pipeline.
func Steps() []Step {
	return []Step{
		{Name: IdentityResolve, Local: true, Does: "names the person; records the message if the recorder has not"},
		{Name: AccessCheck, Local: true, Does: "decides once per message whether it may be answered"},
		{Name: TurnJoin, Local: true, Does: "makes the message leader or follower of a turn; closes the turn at once if nothing is to wait for"},
		{Name: MediaFetch, Queue: QueueMedia, Does: "downloads the attachments; what cannot be had is a note on the message"},
		{Name: MediaGiveUp, Local: true, Does: "notes what nobody fetched in time"},
		{Name: TurnReady, Local: true, Does: "says that a message's media is processed; the last one names the leader to wake"},
		{Name: TurnYield, Local: true, Does: "interrupts the turn that answers: takes its messages, stops its parts, has its agent's call cut"},
		{Name: TurnClose, Local: true, Does: "ends the collecting of a turn once it is quiet and fixes its batch"},
		{Name: AgentReply, Queue: QueueAgents, Local: true, Does: "asks the agent, splits the answer and stores it with its parts"},
		{Name: AgentAwait, Local: true, Does: "looks whether the answer has come that an agent promised to send later"},
		{Name: AgentGiveUp, Local: true, Does: "records that the agent failed for good; stores the fallback text if there is one"},
		{Name: DeliverSend, Queue: QueueDelivery, Local: true, Does: "sends the parts in order, each claimed before and receipted after"},
		{Name: TurnFinish, Local: true, Does: "gives the turn its outcome and names who waits behind"},
		{Name: TurnWake, Local: true, Does: "wakes the leaders that wait behind"},
		{Name: FollowUpArm, Local: true, Does: "starts the workflows that wait for the time of a turn's follow-ups"},
		{Name: FollowUpClaim, Local: true, Does: "makes a turn of a follow-up that is due, or cancels it"},
		{Name: TurnSweep, Queue: QueuePipeline, Does: "adopts overdue turns whose workflow is gone; goes on with what else was left: follow-ups, held replies, messages nobody began, takeovers whose time is over"},
	}
}

// local are the options of a step that is one short transaction: tried again
// until the database answers, because nothing else can be done without it.
func local(ctx workflow.Context) workflow.Context {
	return workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{
		StartToCloseTimeout: 10 * time.Second,
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
