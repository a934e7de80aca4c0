package activities

import (
	"fmt"

	"github.com/google/uuid"
	"go.temporal.io/sdk/workflow"
)

// FollowUpInput starts a FollowUp workflow. The row exists already.
type FollowUpInput struct {
	TenantID   string    `json:"tenant_id"`
	InstanceID uuid.UUID `json:"instance_id"`
	Channel    string    `json:"channel"`
	ChatID     uuid.UUID `json:"chat_id"`
	TurnID     uuid.UUID `json:"turn_id"` // the turn that was answered
	N          int       `json:"n"`       // which of the instance's follow-ups, from 0
	Leader     uuid.UUID `json:"leader"`
}

// WorkflowID is the follow-up's workflow.
func (in FollowUpInput) WorkflowID() string { return FollowUpWorkflowID(in.TurnID, in.N) }

// FollowUpWorkflowID is the workflow of the nth follow-up of a turn.
func FollowUpWorkflowID(turnID uuid.UUID, n int) string {
	return fmt.Sprintf("followup/%s/%d", turnID, n)
}

// ArmInput is the input of followup.Arm.
type ArmInput struct {
	Turn TurnRef `json:"turn"`
}

// Arm runs followup.Arm. What is missed here is armed by turn.Sweep.
func Arm(ctx workflow.Context, in ArmInput) error {
	_, err := runLocal[struct{}](local(ctx), FollowUpArm, in)
	return err
}

// ClaimInput is the input of followup.Claim.
type ClaimInput struct {
	FollowUp FollowUpInput `json:"follow_up"`
}

// Claim runs followup.Claim. StateClosed: the follow-up has become a turn that
// this workflow leads. StateWait and StateBehind: ask again. Else it is over.
func Claim(ctx workflow.Context, in ClaimInput) (TurnView, error) {
	return runLocal[TurnView](local(ctx), FollowUpClaim, in)
}
