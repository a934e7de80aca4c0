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
	decision := omni.AccessDecision{Mode: "disabled", Decision: string(activities.Silent), Reason: "the instance was deleted"}
	inst, err := a.Instances.Get(ctx, in.Message.InstanceID)
	switch {
	case err == nil:
		decision = decide(inst.Settings.Access.Mode)
	case !errors.Is(err, omni.ErrNotFound):
		return activities.CheckOutput{}, fmt.Errorf("reading instance %s: %w", in.Message.InstanceID, err)
	}
	d, err := a.Store.CheckMessage(ctx, in.Message.MessageID, decision, attempt)
	if err != nil {
		return activities.CheckOutput{}, err
	}
	return activities.CheckOutput{Decision: activities.Decision(d.Decision), RuleID: d.RuleID}, nil
}

// decide is the decision where no rule exists.
func decide(mode string) omni.AccessDecision {
	switch mode {
	case "allowlist":
		return omni.AccessDecision{Mode: mode, Decision: string(activities.Deny), Reason: "no rule allows"}
	case "pairing":
		return omni.AccessDecision{Mode: mode, Decision: string(activities.Pair), Reason: "not paired"}
	case "blocklist":
		return omni.AccessDecision{Mode: mode, Decision: string(activities.Allow), Reason: "no rule denies"}
	default:
		return omni.AccessDecision{Mode: "disabled", Decision: string(activities.Allow), Reason: "access control is disabled"}
	}
}
