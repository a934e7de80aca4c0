package turn

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/omnihub/omni/activities"
	"github.com/omnihub/omni/internal/omni"
)

// aliveFor is how long a turn whose workflow was found open is left alone.
const aliveFor = 60 * time.Second

// strandedAfter is how long a message may wait for its workflow. Under load
// that takes longer; to start it from here then does no harm.
const strandedAfter = 60 * time.Second

// suggestAtOnce is how many new accounts are looked at in one sweep.
const suggestAtOnce = 2000

// moveAtOnce is about how many messages of persons that became others are moved
// in one sweep.
const moveAtOnce = 50_000

// Sweep is turn.Sweep: it looks at overdue turns and adopts those whose
// workflow is gone, at follow-ups that nobody armed, at replies that were held
// and need not be any more, it begins messages that nobody has begun, and
// it looks for persons that may be one. What fails holds nothing else up: the
// same would fail first in every sweep.
func (a *Activities) Sweep(ctx context.Context, in activities.SweepInput) (activities.SweepOutput, error) {
	out, adopting := a.adopt(ctx, uuid.NullUUID{}, in.Limit)
	var arming, unparking, beginning, resuming, suggesting error
	out.Armed, arming = a.sweepFollowUps(ctx, in.Limit)
	out.Unparked, unparking = a.unpark(ctx, in.Limit)
	out.Begun, beginning = a.begin(ctx, in.Limit)
	out.Resumed, resuming = a.Store.ResumeDueChats(ctx, in.Limit)
	out.Suggested, suggesting = a.Store.FindSuggestions(ctx, suggestAtOnce)
	return out, errors.Join(adopting, arming, unparking, beginning, resuming, suggesting, a.Store.MoveMessages(ctx, moveAtOnce))
}

// few joins the first of many failures, and says how many more there are: they
// are most often the same, and travel in one message.
func few(failed []error) error {
	const most = 3
	failed = slices.DeleteFunc(failed, func(err error) bool { return err == nil })
	if more := len(failed) - most; more > 0 {
		failed = append(failed[:most], fmt.Errorf("and %d more", more))
	}
	return errors.Join(failed...)
}

// begin starts the workflows of messages that nobody has begun.
func (a *Activities) begin(ctx context.Context, limit int) (begun int, err error) {
	stranded, err := a.Store.StrandedMessages(ctx, strandedAfter, limit)
	failed := []error{err}
	for _, m := range stranded {
		err := a.Engine.StartStranded(ctx, m)
		if failed = append(failed, err); err == nil {
			begun++
		}
	}
	return begun, few(failed)
}

// unpark goes on with replies that were held for want of knowing whether a
// part arrived, once a receipt of the platform has said so.
func (a *Activities) unpark(ctx context.Context, limit int) (int, error) {
	turns, err := a.Store.UnparkTurns(ctx, limit)
	failed := []error{err}
	for _, t := range turns {
		// A start that fails leaves a turn that is soon overdue.
		if err := a.Engine.StartTurn(ctx, turnRef(t, t.Epoch, t.WorkflowID)); err != nil {
			failed = append(failed, fmt.Errorf("starting %s: %w", t.WorkflowID, err))
		}
	}
	return len(turns), few(failed)
}

// adopt looks at overdue turns, or at one of them. Temporal is asked outside
// any lock; the row then changes hands by compare and set.
func (a *Activities) adopt(ctx context.Context, only uuid.NullUUID, limit int) (activities.SweepOutput, error) {
	var out activities.SweepOutput
	suspects, err := a.Store.OverdueTurns(ctx, only, limit)
	failed := []error{err}
	for _, t := range suspects {
		out.Suspect++
		adopted, err := a.adoptOne(ctx, t)
		if failed = append(failed, err); adopted {
			out.Adopted++
		}
	}
	return out, few(failed)
}

func (a *Activities) adoptOne(ctx context.Context, t omni.SuspectTurn) (bool, error) {
	running, err := a.Engine.Running(ctx, t.WorkflowID)
	if err != nil {
		return false, fmt.Errorf("asking whether workflow %s of turn %s lives: %w", t.WorkflowID, t.ID, err)
	}
	if running {
		return false, a.Store.PostponeTurn(ctx, t.ID, aliveFor)
	}
	epoch, ok, err := a.Store.AdoptTurn(ctx, t, activities.TurnWorkflowID(t.ID, t.Epoch+1))
	if err != nil || !ok {
		return false, err
	}
	// A start that fails leaves a turn whose workflow does not exist: the next
	// sweep finds it.
	ref := turnRef(t, epoch, activities.TurnWorkflowID(t.ID, epoch))
	if err := a.Engine.StartTurn(ctx, ref); err != nil {
		return false, fmt.Errorf("starting %s: %w", ref.WorkflowID, err)
	}
	return true, nil
}

func turnRef(t omni.SuspectTurn, epoch int, workflowID string) activities.TurnRef {
	return activities.TurnRef{TenantID: t.TenantID, InstanceID: t.InstanceID, Channel: t.Channel, ChatID: t.ChatID, TurnID: t.ID,
		Epoch: epoch, WorkflowID: workflowID, Leader: t.Leader}
}
