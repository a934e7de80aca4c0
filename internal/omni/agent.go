package omni

import (
	"time"

	"github.com/google/uuid"
)

// InstanceAgent is what a turn names as its agent where the instance's own
// answers; of any other, it is the agent's id.
const InstanceAgent = "instance"

// Agent is an agent by itself: instances and their routes may name it.
type Agent struct {
	ID        uuid.UUID
	TenantID  string
	Name      string
	Config    AgentConfig
	APIKey    string // secret
	Version   int64  // grows with every change
	CreatedAt time.Time
	UpdatedAt time.Time
}

// AnsweredBy is the instance with another agent in the place of its own; nil:
// with none at all. The instance itself, which may be shared, stays as it is.
func (in *Instance) AnsweredBy(a *Agent) *Instance {
	out := *in
	out.Settings.Agent, out.Settings.AgentID, out.Settings.Routed = nil, nil, false
	out.AgentAPIKey, out.AgentKey = "", ""
	if a != nil {
		config := a.Config
		out.Settings.Agent, out.AgentAPIKey, out.AgentKey = &config, a.APIKey, a.ID.String()
	}
	return &out
}

// MayAnswer reports whether anybody answers in some chat of the instance.
func (s *InstanceSettings) MayAnswer() bool { return s.Agent != nil || s.AgentID != nil || s.Routed }
