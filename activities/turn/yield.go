package turn

import (
	"context"

	"github.com/google/uuid"
	"go.temporal.io/sdk/activity"

	"github.com/omnihub/omni/activities"
	"github.com/omnihub/omni/internal/omni"
)

// Yield is turn.Yield: the messages of a turn that answers become this one's,
// if it may still be interrupted.
func (a *Activities) Yield(ctx context.Context, in activities.YieldInput) (activities.TurnView, error) {
	base, inst, err := a.answering(ctx, in.Turn)
	if err != nil {
		return activities.TurnView{}, err
	}
	p := omni.YieldParams{ChatID: in.Turn.ChatID, TurnID: in.Turn.TurnID, WorkflowID: in.Turn.WorkflowID, Epoch: in.Turn.Epoch,
		From: in.From, Closing: closingParams(inst), Attempt: activities.NewAttempt(ctx)}
	v, err := a.Store.YieldTurn(ctx, p)
	if err != nil {
		return activities.TurnView{}, err
	}
	if v.Interrupt.Valid {
		// Also where an earlier run of this step has said so and nobody knows.
		if err := a.Cancels.PublishCancel(ctx, v.Interrupt.UUID); err != nil && activity.IsActivity(ctx) {
			activity.GetLogger(ctx).Warn("hurrying an interrupted turn", "turn_id", v.Interrupt.UUID, "error", err)
		}
	}
	v, err = settle(ctx, v, func() (omni.TurnView, error) { return a.Store.YieldTurn(ctx, p) })
	if err != nil {
		return activities.TurnView{}, err
	}
	v.Interrupt = uuid.NullUUID{} // it has been
	if v.Suspect.Valid {
		if _, err := a.adopt(ctx, v.Suspect, 1); err != nil {
			return activities.TurnView{}, err
		}
	}
	return a.view(ctx, v, base)
}
