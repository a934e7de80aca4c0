package turn

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/omnihub/omni/activities"
	"github.com/omnihub/omni/internal/omni"
)

// FollowUpStore is what the steps of follow-ups need of the database. Answering
// a turn writes the rows, so they say what is owed.
type FollowUpStore interface {
	// UnarmedFollowUps lists a turn's follow-ups whose workflow is not known to exist.
	UnarmedFollowUps(ctx context.Context, turn uuid.UUID) ([]omni.PendingFollowUp, error)
	// UncheckedFollowUps lists those that were not armed in time, or that are
	// overdue.
	UncheckedFollowUps(ctx context.Context, limit int) ([]omni.PendingFollowUp, error)
	// ArmFollowUp notes that the workflow exists.
	ArmFollowUp(ctx context.Context, turn uuid.UUID, n int) error
	// DropFollowUp cancels one that waits.
	DropFollowUp(ctx context.Context, chat, turn uuid.UUID, n int, reason string) error
	ClaimFollowUp(ctx context.Context, c omni.FollowUpClaim) (omni.TurnView, error)
}

// Arm is followup.Arm.
func (a *Activities) Arm(ctx context.Context, in activities.ArmInput) (struct{}, error) {
	owed, err := a.Store.UnarmedFollowUps(ctx, in.Turn.TurnID)
	if err != nil {
		return struct{}{}, err
	}
	for _, f := range owed {
		if err := a.arm(ctx, f); err != nil {
			return struct{}{}, err
		}
	}
	return struct{}{}, nil
}

// arm starts the workflow that waits for the follow-up's time. One that exists
// is no error.
func (a *Activities) arm(ctx context.Context, f omni.PendingFollowUp) error {
	in := activities.FollowUpInput{TenantID: f.TenantID, InstanceID: f.InstanceID, Channel: f.Channel, ChatID: f.ChatID,
		TurnID: f.TurnID, N: f.N, Leader: f.Leader}
	if err := a.Engine.StartFollowUp(ctx, in, max(time.Until(f.DueAt), 0)); err != nil {
		return fmt.Errorf("starting %s: %w", in.WorkflowID(), err)
	}
	return a.Store.ArmFollowUp(ctx, f.TurnID, f.N)
}

// Claim is followup.Claim.
func (a *Activities) Claim(ctx context.Context, in activities.ClaimInput) (activities.TurnView, error) {
	attempt := activities.NewAttempt(ctx)
	base, inst, err := a.answering(ctx, activities.TurnRef{InstanceID: in.FollowUp.InstanceID, TurnID: in.FollowUp.TurnID})
	if err != nil {
		return activities.TurnView{}, err
	}
	v, err := a.Store.ClaimFollowUp(ctx, omni.FollowUpClaim{ChatID: in.FollowUp.ChatID, TurnID: in.FollowUp.TurnID, N: in.FollowUp.N,
		WorkflowID: in.FollowUp.WorkflowID(), Closing: closingParams(inst), Attempt: attempt})
	if err != nil {
		return activities.TurnView{}, err
	}
	return a.view(ctx, v, base)
}

// sweepFollowUps arms what was left unarmed. One whose workflow is gone before
// its time came was ended by an operator: it is not sent.
func (a *Activities) sweepFollowUps(ctx context.Context, limit int) (armed int, err error) {
	pending, err := a.Store.UncheckedFollowUps(ctx, limit)
	if err != nil {
		return 0, err
	}
	var failed []error
	for _, f := range pending {
		if !f.Armed {
			if err := a.arm(ctx, f); err != nil {
				failed = append(failed, err)
				continue
			}
			armed++
			continue
		}
		failed = append(failed, a.recheck(ctx, f))
	}
	return armed, few(failed)
}

func (a *Activities) recheck(ctx context.Context, f omni.PendingFollowUp) error {
	id := activities.FollowUpWorkflowID(f.TurnID, f.N)
	running, err := a.Engine.Running(ctx, id)
	if err != nil {
		return fmt.Errorf("asking whether workflow %s lives: %w", id, err)
	}
	if running {
		return a.Store.ArmFollowUp(ctx, f.TurnID, f.N) // looked after again in a while
	}
	return a.Store.DropFollowUp(ctx, f.ChatID, f.TurnID, f.N, "terminated")
}
