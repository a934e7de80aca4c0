package agent

import (
	"context"
	"maps"
	"strings"

	"go.temporal.io/sdk/activity"

	"github.com/omnihub/omni/internal/omni"
)

// act makes what an agent wants done a part of its answer, and says what is
// not done.
func (c *call) act(ctx context.Context, answer *omni.Answer, actions []omni.AgentAction, batch []omni.TurnMessage) {
	answer.Act(actions, batch, c.Capabilities(c.turn.Channel).React)
	if problems := omni.Problems(answer.Actions); len(problems) > 0 && activity.IsActivity(ctx) {
		activity.GetLogger(ctx).Warn("an agent asked for what is not done", "turn_id", c.turn.TurnID, "problems", strings.Join(problems, "; "))
	}
}

// nothingToDo reports whether an agent wanted something done beside saying
// nothing, and nothing of it is.
func nothingToDo(reply omni.AgentReply, answer omni.Answer) bool {
	return len(reply.Actions) > 0 && len(answer.Parts) == 0 && len(omni.Problems(answer.Actions)) == len(answer.Actions)
}

// account completes what the log says of an answer: what it took, what that
// cost, what was asked for beside it, and who was asked.
func (c *call) account(ctx context.Context, answer omni.Answer, used omni.AgentUsage) map[string]any {
	cost := c.spend(ctx, c.agent, used)
	said := map[string]any{}
	if c.gate != nil {
		said["gate"] = c.gate
		cost = cost.Plus(c.gate.Cost)
	}
	if used != (omni.AgentUsage{}) {
		said["usage"] = used
	}
	if cost != nil {
		said["cost"] = cost
	}
	if len(answer.Actions) > 0 {
		said["actions"] = answer.Actions
	}
	if c.inst.AgentKey != "" {
		said["agentId"] = c.inst.AgentKey
	}
	if len(said) == 0 {
		return answer.Details
	}
	said["provider"] = c.agent.Provider
	maps.Copy(said, withoutKeys(answer.Details, said))
	return said
}

// withoutKeys is what of m other does not say.
func withoutKeys(m, other map[string]any) map[string]any {
	out := map[string]any{}
	for k, v := range m {
		if _, ok := other[k]; !ok {
			out[k] = v
		}
	}
	return out
}

// spend counts what a call took, and returns what it cost, as far as it is known.
func (c *call) spend(ctx context.Context, of omni.AgentConfig, used omni.AgentUsage) *omni.Cost {
	if used == (omni.AgentUsage{}) {
		return nil
	}
	cost := omni.CostOf(of, used)
	if c.Spent != nil {
		c.Spent(context.WithoutCancel(ctx), of.Provider, of.Model, used, cost)
	}
	return cost
}
