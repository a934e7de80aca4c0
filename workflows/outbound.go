package workflows

import (
	"github.com/google/uuid"
	"go.temporal.io/sdk/workflow"

	"github.com/omnihub/omni/activities"
	"github.com/omnihub/omni/internal/omni"
)

// OutboundResult is what an Outbound workflow returns.
type OutboundResult struct {
	Outcome string `json:"outcome"`
	Error   string `json:"error,omitempty"`
}

// Outbound sends one message that came by API, part by part. A scheduled one
// starts with a delay; cancelling it changes its rows first, so a start that
// was already due finds nothing to send.
func Outbound(ctx workflow.Context, in OutboundInput) (OutboundResult, error) {
	var out OutboundResult
	for part := range max(in.Parts, 1) {
		// Behind a part that was not sent the claims of the others end them.
		sent, err := activities.Send(ctx, activities.SendInput{
			Turn: activities.TurnRef{TenantID: in.TenantID, InstanceID: in.InstanceID, Channel: in.Channel, ChatID: in.ChatID,
				Leader: in.MessageID, WorkflowID: workflow.GetInfo(ctx).WorkflowExecution.ID, Traceparent: in.Traceparent},
			Outbound: uuid.NullUUID{UUID: omni.OutboundPartID(in.MessageID, part), Valid: true},
		}, false)
		if err != nil {
			return OutboundResult{}, err
		}
		if part == 0 || out.Outcome == activities.OutcomeAnswered {
			out = OutboundResult{Outcome: sent.Outcome, Error: sent.Error}
		}
	}
	if err := workflow.UpsertTypedSearchAttributes(ctx, AttrOutcome.ValueSet(out.Outcome)); err != nil {
		return OutboundResult{}, err
	}
	return out, nil
}
