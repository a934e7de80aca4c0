package agent

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/omnihub/omni/activities"
	"github.com/omnihub/omni/internal/omni"
)

// gateHistory is how much of the past a gate is told.
const gateHistory = 10

// pass asks the agent's gate, where there is one. done is set where the agent
// is not asked. What goes wrong with a gate lets the turn through: people who
// are not answered because of it would never know.
func (c *call) pass(ctx context.Context, req omni.AgentRequest) (done *activities.ReplyOutput, err error) {
	byMessage := len(req.Messages) != 1 || req.Messages[0].ID != c.turn.TurnID // else a follow-up: its prompt
	if c.gate != nil || !byMessage || !c.agent.Gate.Asks(req.Chat.Type) {
		return nil, nil //nolint:nilnil // the agent is asked
	}
	began := time.Now()
	d := c.decide(ctx, req)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	d.TookMs = time.Since(began).Milliseconds()
	c.gate = &d
	if !d.Answer {
		out, err := c.store(ctx, omni.Answer{Actions: []omni.AgentAction{}, Gate: &d, Details: map[string]any{"gated": true, "gate": d,
			"provider": c.agent.Provider}})
		return &out, err
	}
	mine, err := c.Store.GateTurn(ctx, c.turn.TurnID, c.turn.WorkflowID, c.turn.Epoch, d)
	if err != nil || mine {
		return nil, err
	}
	out, err := c.lost(ctx)
	return &out, err
}

func (c *call) decide(ctx context.Context, req omni.AgentRequest) omni.GateDecision {
	g := c.agent.Gate
	if g.Mode == omni.GateByRule {
		return g.Decide(req.Messages)
	}
	d := omni.GateDecision{Mode: omni.GateByModel, Model: g.Model, Answer: true}
	of := omni.AgentConfig{Provider: c.agent.Provider, APIURL: c.agent.APIURL, Model: g.Model, SystemPrompt: g.GatePrompt()}
	if g.Provider != "" { // the agent's key is for the agent's server
		of.Provider, of.APIURL, req.APIKey = g.Provider, "", ""
	}
	req.Config, req.OnDelta = of, nil
	req.TurnID = uuid.NewSHA1(req.TurnID, []byte("gate")) // another call, with a key of its own
	req.History = req.History[max(0, len(req.History)-gateHistory):]
	asked, cancel := context.WithTimeout(ctx, omni.GateWithin)
	defer cancel()
	reply, err := c.Provider.Reply(asked, req)
	if err != nil {
		d.Failed = "no decision within 3 s"
		if failure, ok := errors.AsType[*omni.AgentError](err); ok {
			d.Failed = failure.Error()
		}
		return d
	}
	if reply.Usage != (omni.AgentUsage{}) {
		d.Usage, d.Cost = &reply.Usage, c.spend(ctx, of, reply.Usage)
	}
	answer, ok := omni.ReadVerdict(reply.Text)
	if !ok {
		d.Failed = "it said neither yes nor no"
		return d
	}
	d.Answer = answer
	return d
}
