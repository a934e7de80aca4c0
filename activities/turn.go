package activities

import (
	"fmt"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// TurnRef names a turn as one workflow holds it.
type TurnRef struct {
	TenantID    string    `json:"tenant_id"`
	InstanceID  uuid.UUID `json:"instance_id"`
	Channel     string    `json:"channel"`
	ChatID      uuid.UUID `json:"chat_id"`
	TurnID      uuid.UUID `json:"turn_id"`
	Epoch       int       `json:"epoch"`
	WorkflowID  string    `json:"workflow_id"`
	Leader      uuid.UUID `json:"leader"` // message id; the correlation id of the turn's events
	Traceparent string    `json:"traceparent,omitempty"`
	ReceivedAt  time.Time `json:"received_at,omitzero"` // when the leader came in; unknown to who adopts
	Agent       string    `json:"agent,omitempty"`      // who answers: "" for the instance's own, else an agent's id
}

// CloseInput is the input of turn.Close.
type CloseInput struct {
	Turn TurnRef `json:"turn"`
}

// Close runs turn.Close.
func Close(ctx workflow.Context, in CloseInput) (TurnView, error) {
	return runLocal[TurnView](local(ctx), TurnClose, in)
}

// YieldInput is the input of turn.Yield: From is the turn to interrupt.
type YieldInput struct {
	Turn TurnRef   `json:"turn"`
	From uuid.UUID `json:"from"`
}

// Yield runs turn.Yield. It returns what turn.Close would.
func Yield(ctx workflow.Context, in YieldInput) (TurnView, error) {
	return runLocal[TurnView](local(ctx), TurnYield, in)
}

// ReadyInput is the input of turn.Ready.
type ReadyInput struct {
	Message    MessageRef `json:"message"`
	WorkflowID string     `json:"workflow_id"`
}

// ReadyOutput is the output of turn.Ready: what is true of the message's turn,
// and whose leader waited for this message alone (for turn.Wake).
type ReadyOutput struct {
	Turn TurnView `json:"turn"`
	Wake []string `json:"wake,omitempty"`
}

// Ready runs turn.Ready.
func Ready(ctx workflow.Context, in ReadyInput) (ReadyOutput, error) {
	return runLocal[ReadyOutput](local(ctx), TurnReady, in)
}

// FinishInput is the input of turn.Finish.
type FinishInput struct {
	Turn    TurnRef `json:"turn"`
	Outcome string  `json:"outcome"` // an Outcome constant
	Error   string  `json:"error,omitempty"`

	// DeadLetter is the step that failed for good: its input is kept.
	DeadLetter string `json:"dead_letter,omitempty"`
	Attempts   int    `json:"attempts,omitempty"`
}

// The outcomes of turns and messages, as in search attribute OmniOutcome.
const (
	OutcomeAnswered  = "answered"
	OutcomeFallback  = "fallback" // the agent failed; the fallback text went out
	OutcomeFailed    = "failed"
	OutcomeUnknown   = "unknown" // a part may or may not have arrived
	OutcomeExpired   = "expired"
	OutcomeCancelled = "cancelled"
	OutcomeDenied    = "denied"
	OutcomeIgnored   = "ignored"
	OutcomePaused    = "paused"
	OutcomeFollower  = "follower"
	OutcomeAdopted   = "adopted"
	OutcomeNothing   = "nothing" // the agent had nothing to say

	OutcomeInterrupted = "interrupted" // a later turn answers its messages
)

// FinishOutput is the output of turn.Finish.
type FinishOutput struct {
	Outcome string   `json:"outcome"`        // the one that stands
	Wake    []string `json:"wake,omitempty"` // workflows of the leaders that wait behind

	FollowUps bool `json:"follow_ups,omitempty"` // followup.Arm is owed

	// Interrupted: the turn that answers the messages now, and who leads it.
	Turn   uuid.NullUUID `json:"turn,omitzero"`
	Leader uuid.NullUUID `json:"leader,omitzero"`
}

// Finish runs turn.Finish.
func Finish(ctx workflow.Context, in FinishInput) (FinishOutput, error) {
	return runLocal[FinishOutput](local(ctx), TurnFinish, in)
}

// WakeInput is the input of turn.Wake.
type WakeInput struct {
	Workflows []string `json:"workflows"`
}

// SignalWake is the signal a waiting leader gets: look again.
const SignalWake = "wake"

// Wake runs turn.Wake. A leader that is missed looks again by itself.
func Wake(ctx workflow.Context, in WakeInput) error {
	_, err := runLocal[struct{}](local(ctx), TurnWake, in)
	return err
}

// SweepInput is the input of turn.Sweep.
type SweepInput struct {
	Limit int `json:"limit"`
}

// SweepOutput is the output of turn.Sweep.
type SweepOutput struct {
	Suspect int `json:"suspect"`
	Adopted int `json:"adopted"`
	Armed   int `json:"armed,omitempty"`   // follow-ups that were owed a workflow
	Begun   int `json:"begun,omitempty"`   // messages that had no workflow
	Resumed int `json:"resumed,omitempty"` // chats whose takeover was over

	Unparked int `json:"unparked,omitempty"` // held replies that go on

	Suggested int `json:"suggested,omitempty"` // pairs of persons that may be one
}

// TurnWorkflowID is the workflow that adopted a turn at an epoch.
func TurnWorkflowID(turnID uuid.UUID, epoch int) string {
	return fmt.Sprintf("turn/%s/%d", turnID, epoch)
}

// Sweep runs turn.Sweep.
func Sweep(ctx workflow.Context, in SweepInput) (SweepOutput, error) {
	return runRegular[SweepOutput](workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:           QueuePipeline,
		StartToCloseTimeout: time.Minute,
		RetryPolicy:         &temporal.RetryPolicy{MaximumAttempts: 3},
	}), TurnSweep, in)
}
