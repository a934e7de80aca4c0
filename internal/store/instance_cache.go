package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/omnihub/omni/internal/omni"
)

// InstanceReader reads one instance; *Store is one.
type InstanceReader interface {
	Instance(ctx context.Context, id uuid.UUID) (*omni.Instance, error)
}

// InstanceCache keeps instances for a short while. Changes are announced on
// omni.instance.changed and invalidate it; the time to live is the net below.
// What it gives out is shared: read only. Safe for concurrent use.
type InstanceCache struct{ *cache[omni.Instance] }

// NewInstanceCache makes an empty cache.
func NewInstanceCache(from InstanceReader, ttl time.Duration) *InstanceCache {
	return &InstanceCache{newCache(from.Instance, ttl)}
}

// AgentReader reads one agent; *Store is one.
type AgentReader interface {
	Agent(ctx context.Context, id uuid.UUID) (*omni.Agent, error)
}

// AgentCache keeps agents as InstanceCache keeps instances; their changes are
// announced on the same subject.
type AgentCache struct{ *cache[omni.Agent] }

// NewAgentCache makes an empty cache.
func NewAgentCache(from AgentReader, ttl time.Duration) *AgentCache {
	return &AgentCache{newCache(from.Agent, ttl)}
}

// Admit decides about inbound events what the settings of their instances
// alone decide. Those of an instance that is gone are left to the workflow.
func (c *InstanceCache) Admit(ctx context.Context, batch []omni.Envelope) error {
	for i := range batch {
		in, err := c.Get(ctx, batch[i].InstanceID)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return fmt.Errorf("reading instance %s: %w", batch[i].InstanceID, err)
		}
		a := omni.Admit(in.Settings, &batch[i])
		batch[i].Admission = &a
	}
	return nil
}
