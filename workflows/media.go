package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/omnihub/omni/activities"
)

// attach fetches what is attached to a message that has just joined, and says
// when that is done: until then its turn collects. Also what is not answered
// is fetched.
func (t *turn) attach(ctx workflow.Context, ref activities.MessageRef, view activities.TurnView) (activities.TurnView, error) {
	t.adopt(view)
	if view.Interrupt.Valid { // nobody has to wait for the attachments to be interrupted
		var err error
		if view, err = activities.Yield(ctx, activities.YieldInput{Turn: t.ref, From: view.Interrupt.UUID}); err != nil {
			return view, err
		}
		t.adopt(view)
	}
	switch view.State { //nolint:exhaustive // the others are over, or no longer this workflow's
	case activities.StateIgnored, activities.StatePaused:
		return view, fetch(ctx, ref)
	case activities.StateLeader, activities.StateFollower, activities.StateWait, activities.StateBehind:
	default:
		return view, nil
	}
	if view.State != activities.StateFollower {
		if err := t.tag(ctx); err != nil { // as before any other wait
			return view, err
		}
	}
	if err := fetch(ctx, ref); err != nil {
		return view, err
	}
	ready, err := activities.Ready(ctx, activities.ReadyInput{Message: ref, WorkflowID: t.ref.WorkflowID})
	if err != nil || len(ready.Wake) == 0 {
		return ready.Turn, err
	}
	return ready.Turn, activities.Wake(ctx, activities.WakeInput{Workflows: ready.Wake})
}

// fetch gives every attachment its fate: an error of media.Fetch means that
// nobody was there to do it in time.
func fetch(ctx workflow.Context, ref activities.MessageRef) error {
	in := activities.FetchInput{Message: ref}
	if _, err := activities.Fetch(ctx, in); err != nil {
		return activities.FetchGiveUp(ctx, in)
	}
	return nil
}
