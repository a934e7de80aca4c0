package activities

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/omnihub/omni/internal/omni"
)

// Agents reads agents that are no instance's own, usually from memory.
type Agents interface {
	Get(ctx context.Context, id uuid.UUID) (*omni.Agent, error)
}

// Answering is an instance with the agent that answers a turn: its own for ""
// and omni.InstanceAgent, else the one with that id. One that is gone leaves
// the instance without an agent.
func Answering(ctx context.Context, from Agents, inst *omni.Instance, agent string) (*omni.Instance, error) {
	if agent == "" || agent == omni.InstanceAgent {
		return inst, nil
	}
	id, err := uuid.Parse(agent)
	if err != nil || from == nil {
		return inst.AnsweredBy(nil), nil //nolint:nilerr // nobody has such an id
	}
	a, err := from.Get(ctx, id)
	switch {
	case errors.Is(err, omni.ErrNotFound):
		return inst.AnsweredBy(nil), nil
	case err != nil:
		return nil, fmt.Errorf("reading agent %s: %w", id, err)
	case a.TenantID != inst.TenantID:
		return inst.AnsweredBy(nil), nil
	}
	return inst.AnsweredBy(a), nil
}
