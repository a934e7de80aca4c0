package activities

import (
	"errors"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// ReplyInput is the input of agent.Reply.
type ReplyInput struct {
	Turn TurnRef `json:"turn"`
	// Process runs the local steps of the turn's workflow: the delivery too, most likely.
	Process string `json:"process,omitempty"`
}

// ReplyOutput is the output of agent.Reply: a count, never the text. State is
// StateClosed while the turn is still this workflow's to deliver, else what
// became of it.
type ReplyOutput struct {
	State         TurnState `json:"state"`
	Parts         int       `json:"parts"`
	QuickDelivery bool      `json:"quick_delivery,omitempty"`

	Wait time.Duration `json:"wait,omitempty"` // StateAwaiting: what is left of the agent's time
}

// The stable types of agent errors. Final ones are not tried again.
const (
	ErrTypeAgentRateLimited    = "agent_rate_limited"
	ErrTypeAgentTransient      = "agent_transient"
	ErrTypeAgentBadCredentials = "agent_bad_credentials"
	ErrTypeAgentBadRequest     = "agent_bad_request"
	ErrTypeAgentMalformed      = "agent_malformed"
	ErrTypeAgentUnsupported    = "agent_unsupported"
)

// Reply runs agent.Reply: locally where the agent is known to be quick, else,
// or when it was not quick after all, as a regular activity that is retried
// for retryFor. In a process that calls agents itself that activity is on the
// workflow's own queue, so that it is begun with the workflow task that asks
// for it, and not dispatched to a poller that is most likely the same process.
func Reply(ctx workflow.Context, in ReplyInput, how TurnView) (ReplyOutput, error) {
	in.Process = how.Process
	if how.QuickAgent {
		out, err := runLocal[ReplyOutput](quick(ctx), AgentReply, in)
		if err == nil || Final(err) {
			return out, err
		}
	}
	queue := QueueAgents
	if how.AgentHere {
		queue = QueuePipeline
	}
	return runRegular[ReplyOutput](workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              queue,
		Summary:                "turn " + in.Turn.TurnID.String(),
		StartToCloseTimeout:    how.AgentTimeout + 15*time.Second,                         // the call's own timeout ends it first
		ScheduleToCloseTimeout: max(how.AgentRetryFor, how.AgentTimeout) + 30*time.Second, // the step itself ends in time
		HeartbeatTimeout:       HeartbeatTimeout,
		RetryPolicy: &temporal.RetryPolicy{
			InitialInterval: agentRetryFirst, BackoffCoefficient: 2, MaximumInterval: agentRetryMost,
		},
	}), AgentReply, in)
}

// AwaitInput is the input of agent.Await.
type AwaitInput struct {
	Turn TurnRef `json:"turn"`
}

// Await runs agent.Await: whether the answer that was promised has come.
// StateAwaiting: it has not yet. Its time being over is a final error.
func Await(ctx workflow.Context, in AwaitInput) (ReplyOutput, error) {
	return runLocal[ReplyOutput](local(ctx), AgentAwait, in)
}

const (
	agentRetryFirst = time.Second
	agentRetryMost  = 30 * time.Second
)

// AgentRetryPause is how long the nth try of agent.Reply (from 1) is ago when
// the next one begins, unless the agent said otherwise.
func AgentRetryPause(n int) time.Duration {
	const doublings = 5 // then agentRetryMost is reached
	return min(agentRetryFirst<<min(max(n-1, 0), doublings), agentRetryMost)
}

// Final reports whether an activity's error says that trying again is useless.
func Final(err error) bool {
	var app *temporal.ApplicationError
	return errors.As(err, &app) && app.NonRetryable()
}

// GiveUpInput is the input of agent.GiveUp.
type GiveUpInput struct {
	Turn  TurnRef `json:"turn"`
	Error string  `json:"error"` // scrubbed by whoever made it
	Type  string  `json:"type,omitempty"`
}

// GiveUp runs agent.GiveUp. Parts > 0: a fallback text is to be delivered.
func GiveUp(ctx workflow.Context, in GiveUpInput) (ReplyOutput, error) {
	return runLocal[ReplyOutput](local(ctx), AgentGiveUp, in)
}
