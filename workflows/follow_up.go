package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/omnihub/omni/activities"
)

// FollowUp sends one follow-up of a turn. It is started with a delay, so its
// first step is at the follow-up's time: the claim decides, under the chat's
// lock, whether the chat has stayed silent. From there it is a turn like any other.
func FollowUp(ctx workflow.Context, in activities.FollowUpInput) (MessageResult, error) {
	// Found with the turn that it follows: the search attribute is set at the start.
	t := turn{tagged: true, ref: activities.TurnRef{TenantID: in.TenantID, InstanceID: in.InstanceID, Channel: in.Channel,
		ChatID: in.ChatID, WorkflowID: workflow.GetInfo(ctx).WorkflowExecution.ID, Leader: in.Leader}}
	for {
		view, err := activities.Claim(ctx, activities.ClaimInput{FollowUp: in})
		if err != nil {
			return MessageResult{}, err
		}
		switch view.State {
		case activities.StateWait: // woken before its time
			err = workflow.Sleep(ctx, max(view.Wait, time.Millisecond))
		case activities.StateBehind:
			err = workflow.Sleep(ctx, behindPoll)
		default:
			return t.lead(ctx, view)
		}
		if err != nil {
			return MessageResult{}, err
		}
		if isLong(ctx) {
			return MessageResult{}, workflow.NewContinueAsNewError(ctx, TypeFollowUp, in)
		}
	}
}
