package access

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/omnihub/omni/activities"
	"github.com/omnihub/omni/internal/omni"
)

// Store is what the step needs of the database.
type Store interface {
	InboundMessage(ctx context.Context, id uuid.UUID) (*omni.InboundMessage, error)
	AccessQuestion(ctx context.Context, id uuid.UUID) (*omni.AccessQuestion, error)
	CheckMessage(ctx context.Context, id uuid.UUID, plan omni.AccessPlan, a omni.Attempt) (*omni.AccessAnswer, error)
	MarkOutboundStarted(ctx context.Context, tenant string, id uuid.UUID) error
}

// Instances reads instances, usually from memory.
type Instances interface {
	Get(ctx context.Context, id uuid.UUID) (*omni.Instance, error)
}

// Engine starts the workflow of a message to be sent. One that exists is no
// error.
type Engine interface {
	StartAccepted(ctx context.Context, m omni.OutboundAccepted) error
}

// Activities implements the step.
type Activities struct {
	Store     Store
	Instances Instances
	Engine    Engine
	// Observe is told of each decision that Check makes; nil: nobody is.
	Observe func(ctx context.Context, channel, decision string, byRule bool)
}

// freshFor is how long rules that were read with the message may be used. A
// step that is tried again reads them again.
const freshFor = time.Second

// Check decides about a message, once: a decision that is stored stands.
func (a *Activities) Check(ctx context.Context, in activities.CheckInput) (activities.CheckOutput, error) {
	attempt := activities.NewAttempt(ctx)
	m, err := a.Store.InboundMessage(ctx, in.Message.MessageID)
	if err != nil {
		return activities.CheckOutput{}, err
	}
	if m.Access != nil { // where nothing is to be decided, it was when the message was recorded
		return a.output(ctx, in, m.Access)
	}
	q := m.Question
	if q == nil || time.Since(q.ReadAt) > freshFor {
		if q, err = a.Store.AccessQuestion(ctx, in.Message.MessageID); err != nil {
			return activities.CheckOutput{}, err
		}
	}
	answer, err := a.Store.CheckMessage(ctx, in.Message.MessageID, q.Plan(m, time.Now()), attempt)
	if err != nil {
		return activities.CheckOutput{}, err
	}
	if a.Observe != nil {
		a.Observe(ctx, in.Message.Channel, answer.Decision, answer.RuleID.Valid)
	}
	if answer.Said.Valid {
		if err := a.send(ctx, in.Message, answer.Said.UUID); err != nil {
			return activities.CheckOutput{}, err
		}
	}
	return a.output(ctx, in, &answer.AccessDecision)
}

// send has sent what the decision says to the sender. It is stored with the
// decision: should this process die here, its workflow is started elsewhere.
func (a *Activities) send(ctx context.Context, ref activities.MessageRef, said uuid.UUID) error {
	err := a.Engine.StartAccepted(ctx, omni.OutboundAccepted{MessageID: said, TenantID: ref.TenantID, InstanceID: ref.InstanceID,
		Channel: ref.Channel, ChatID: ref.ChatID, Status: omni.StatusQueued, Traceparent: ref.Traceparent})
	if err != nil {
		return err
	}
	return a.Store.MarkOutboundStarted(ctx, ref.TenantID, said)
}

// output is the decision as the workflow sees it.
func (a *Activities) output(ctx context.Context, in activities.CheckInput, d *omni.AccessDecision) (activities.CheckOutput, error) {
	out := activities.CheckOutput{Decision: activities.Decision(d.Decision), RuleID: d.RuleID}
	if out.Decision == activities.Allow {
		return out, nil
	}
	inst, err := a.Instances.Get(ctx, in.Message.InstanceID)
	if err != nil && !errors.Is(err, omni.ErrNotFound) {
		return activities.CheckOutput{}, fmt.Errorf("reading instance %s: %w", in.Message.InstanceID, err)
	}
	out.MediaAnyway = err == nil && inst.Settings.Media.ProcessOnBlocked
	return out, nil
}
