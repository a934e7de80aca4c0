package omni

import (
	"strings"
	"time"
	"unicode"

	"github.com/omnihub/omni/channels/message"
)

// GateConfig decides whether an agent is asked at all, mostly in groups. It
// fails open: whatever goes wrong with it, the agent is asked.
type GateConfig struct {
	Mode     string     `json:"mode" enum:"off,rule,model"`
	Rules    []GateRule `json:"rules,omitempty" maxItems:"100" doc:"mode rule: the first that matches a message decides; where none does, the agent answers"`
	Prompt   string     `json:"prompt,omitempty" maxLength:"8000" doc:"mode model: when to answer, in words"`
	Model    string     `json:"model,omitempty" maxLength:"200" doc:"mode model: a small one"`
	Provider string     `json:"provider,omitempty" enum:"openai,anthropic" doc:"mode model: with the hub's own account there; left out: the agent's own provider, address and key"`
	DMs      bool       `json:"dms,omitempty" doc:"asked for direct messages, too"`
}

// The modes of a gate.
const (
	GateOff     = "off"
	GateByRule  = "rule"
	GateByModel = "model"
)

// GateWithin is how long the decision of a gate is waited for.
const GateWithin = 3 * time.Second

// GateRule decides about the messages that it matches.
type GateRule struct {
	Match  string `json:"match" minLength:"1" maxLength:"200" doc:"the whole text, case apart; * stands for anything"`
	Answer bool   `json:"answer"`
}

// GateDecision is what a gate said of a turn. It is kept with the turn, so
// that a call that is repeated is not judged again.
type GateDecision struct {
	Answer bool        `json:"answer"`
	Mode   string      `json:"mode"`
	Reason string      `json:"reason,omitempty"`
	Failed string      `json:"failed,omitempty"` // why it could not be decided: then the agent answers
	TookMs int64       `json:"tookMs"`
	Model  string      `json:"model,omitempty"`
	Usage  *AgentUsage `json:"usage,omitempty"`
	Cost   *Cost       `json:"cost,omitempty"`
}

// Asks reports whether the gate is to be asked about a turn of such a chat.
func (g *GateConfig) Asks(chat message.ChatType) bool {
	return g != nil && (g.Mode == GateByRule || g.Mode == GateByModel) && (g.DMs || chat == message.ChatGroup)
}

// Decide applies the rules to a batch: one message that is to be answered is
// enough.
func (g *GateConfig) Decide(batch []TurnMessage) GateDecision {
	d := GateDecision{Mode: GateByRule}
	for _, m := range batch {
		rule := g.ruleFor(m.Text)
		if rule == nil {
			return GateDecision{Mode: GateByRule, Answer: true, Reason: "no rule matches"}
		}
		d.Answer, d.Reason = rule.Answer, "rule "+rule.Match
		if d.Answer {
			break
		}
	}
	return d
}

func (g *GateConfig) ruleFor(text string) *GateRule {
	for i := range g.Rules {
		if glob(strings.ToLower(g.Rules[i].Match), strings.ToLower(strings.TrimSpace(text))) {
			return &g.Rules[i]
		}
	}
	return nil
}

// glob matches a whole text; * stands for anything, also for nothing.
func glob(pattern, text string) bool {
	pieces := strings.Split(pattern, "*")
	if len(pieces) == 1 {
		return pattern == text
	}
	rest, ok := strings.CutPrefix(text, pieces[0])
	if !ok {
		return false
	}
	last := len(pieces) - 1
	for _, piece := range pieces[1:last] {
		i := strings.Index(rest, piece)
		if i < 0 {
			return false
		}
		rest = rest[i+len(piece):]
	}
	return strings.HasSuffix(rest, pieces[last])
}

// GatePrompt is the instruction of a gate that is a model. What people wrote is
// no part of it.
func (g *GateConfig) GatePrompt() string {
	const task = "You decide whether an assistant in a chat should answer the last messages. " +
		"Reply with one word: YES if it should, NO if it should not."
	if g.Prompt == "" {
		return task
	}
	return task + "\n\n" + g.Prompt
}

// ReadVerdict reads a model's word; ok is false where it says neither.
func ReadVerdict(text string) (answer, ok bool) {
	words := strings.FieldsFunc(strings.ToUpper(text), func(r rune) bool { return !unicode.IsLetter(r) })
	if len(words) == 0 {
		return false, false
	}
	return words[0] == "YES", words[0] == "YES" || words[0] == "NO"
}
