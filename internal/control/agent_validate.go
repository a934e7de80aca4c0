package control

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/omnihub/omni/internal/omni"
)

// agentAt checks an agent whose fields are named from another place than an
// instance's field agent.
func (c *checks) agentAt(path string, a *omni.AgentConfig, providers []string) {
	var own checks
	own.agent(a, providers)
	for _, f := range own.fields {
		c.add(path+strings.TrimPrefix(f.Field, "agent."), f.Message)
	}
}

const (
	maxGateRules  = 100
	maxGateMatch  = 200
	maxGatePrompt = 8000
)

var currency = regexp.MustCompile(`^[A-Z]{3}$`)

// agentExtras checks what an agent may do beside answering, when it is asked,
// and what it costs.
func (c *checks) agentExtras(a *omni.AgentConfig) {
	for i, action := range a.Actions {
		if !slices.Contains(omni.AgentActionTypes(), action) {
			all := make([]string, 0, len(omni.AgentActionTypes()))
			for _, typ := range omni.AgentActionTypes() {
				all = append(all, string(typ))
			}
			c.add(fmt.Sprintf("agent.actions[%d]", i), "must be one of: "+strings.Join(all, ", "))
		}
	}
	if p := a.Price; p != nil {
		c.amount("agent.price.inputPerMillion", p.InputPerMillion)
		c.amount("agent.price.outputPerMillion", p.OutputPerMillion)
		if p.Currency != "" && !currency.MatchString(p.Currency) {
			c.add("agent.price.currency", "must be three capital letters")
		}
	}
	c.gate(a.Gate)
	if a.Gate != nil && a.Gate.Mode == omni.GateByModel && a.Gate.Provider == "" && a.Provider != "openai" && a.Provider != "anthropic" {
		c.add("agent.gate.provider", "is required where the agent itself is no language model")
	}
}

func (c *checks) amount(field string, v float64) {
	const most = 1e6
	if math.IsNaN(v) || v < 0 || v > most {
		c.add(field, "must be between 0 and 1000000")
	}
}

func (c *checks) gate(g *omni.GateConfig) {
	if g == nil {
		return
	}
	switch g.Mode {
	case omni.GateOff:
	case omni.GateByRule:
		if len(g.Rules) == 0 {
			c.add("agent.gate.rules", "is required for mode rule")
		}
	case omni.GateByModel:
		if g.Model == "" {
			c.add("agent.gate.model", "is required for mode model")
		}
	default:
		c.add("agent.gate.mode", "must be one of: off, rule, model")
	}
	if g.Provider != "" && g.Provider != "openai" && g.Provider != "anthropic" {
		c.add("agent.gate.provider", "must be one of: openai, anthropic")
	}
	c.atMost("agent.gate.rules", len(g.Rules), maxGateRules)
	for i, rule := range g.Rules {
		field := fmt.Sprintf("agent.gate.rules[%d].match", i)
		c.noNUL(field, rule.Match)
		if rule.Match == "" || len(rule.Match) > maxGateMatch {
			c.add(field, fmt.Sprintf("must have 1 to %d bytes", maxGateMatch))
		}
	}
	if len(g.Prompt) > maxGatePrompt {
		c.add("agent.gate.prompt", fmt.Sprintf("is longer than %d bytes", maxGatePrompt))
	}
	c.noNUL("agent.gate.prompt", g.Prompt)
	c.noNUL("agent.gate.model", g.Model)
}
