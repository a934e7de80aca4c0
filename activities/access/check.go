package access

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/omnihub/omni/activities"
	"github.com/omnihub/omni/internal/omni"
)

// Store is what the step needs of the database.
type Store interface {
	InboundMessage(ctx context.Context, id uuid.UUID) (*omni.InboundMessage, error)
	CheckMessage(ctx context.Context, id uuid.UUID, d omni.AccessDecision, a omni.Attempt) (omni.AccessDecision, error)
}

// Instances reads instances, usually from memory.
type Instances interface {
	Get(ctx context.Context, id uuid.UUID) (*omni.Instance, error)
}

// Activities implements the step.
type Activities struct {
	Store     Store
	Instances Instances
}

// Check decides about a message, once: a decision that is stored stands.
func (a *Activities) Check(ctx context.Context, in activities.CheckInput) (activities.CheckOutput, error) {
	attempt := activities.NewAttempt(ctx)
	m, err := a.Store.InboundMessage(ctx, in.Message.MessageID)
	if err != nil {
		return activities.CheckOutput{}, err
	}
	if m.Access != nil { // where nothing is to be decided, it was when the message was recorded
		return activities.CheckOutput{Decision: activities.Decision(m.Access.Decision), RuleID: m.Access.RuleID}, nil
	}
	decision := omni.AccessDecision{Mode: "disabled", Decision: string(activities.Silent), Reason: "the instance was deleted"}
	inst, err := a.Instances.Get(ctx, in.Message.InstanceID)
	switch {
	case err == nil:
		decision = omni.DefaultAccess(inst.Settings.Access.Mode)
	case !errors.Is(err, omni.ErrNotFound):
		return activities.CheckOutput{}, fmt.Errorf("reading instance %s: %w", in.Message.InstanceID, err)
	}
	d, err := a.Store.CheckMessage(ctx, in.Message.MessageID, decision, attempt)
	if err != nil {
		return activities.CheckOutput{}, err
	}
	return activities.CheckOutput{Decision: activities.Decision(d.Decision), RuleID: d.RuleID}, nil
}
