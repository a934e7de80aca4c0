package workflows

import (
	"github.com/google/uuid"
	"go.temporal.io/sdk/workflow"

	"github.com/omnihub/omni/activities"
)

// OutboundResult is what an Outbound workflow returns.
type OutboundResult struct {
	Outcome string `json:"outcome"`
	Error   string `json:"error,omitempty"`
}

// Outbound sends one message that came by API. A scheduled one starts with a
// delay; cancelling it changes its row first, so a start that was already due
// finds nothing to send.
func Outbound(ctx workflow.Context, in OutboundInput) (OutboundResult, error) {
	sent, err := activities.Send(ctx, activities.SendInput{
		Turn: activities.TurnRef{TenantID: in.TenantID, InstanceID: in.InstanceID, Channel: in.Channel, ChatID: in.ChatID,
			Leader: in.MessageID, WorkflowID: workflow.GetInfo(ctx).WorkflowExecution.ID, Traceparent: in.Traceparent},
		Outbound: uuid.NullUUID{UUID: in.MessageID, Valid: true},
	}, false)
	if err != nil {
		return OutboundResult{}, err
	}
	if err := workflow.UpsertTypedSearchAttributes(ctx, AttrOutcome.ValueSet(sent.Outcome)); err != nil {
		return OutboundResult{}, err
	}
	return OutboundResult{Outcome: sent.Outcome, Error: sent.Error}, nil
}
