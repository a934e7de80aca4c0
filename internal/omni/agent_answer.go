package omni

import (
	"bytes"
	"encoding/json"
	"errors"

	"github.com/omnihub/omni/channels/message"
)

// AgentAnswer is an answer as agents write it: text, or parts.
type AgentAnswer struct {
	Text  string      `json:"text,omitempty"`
	Parts []AgentPart `json:"parts,omitempty"`

	Actions json.RawMessage `json:"actions,omitempty"` // beside what is said: see ParseActions
	Usage   AgentUsage      `json:"usage,omitzero"`
}

// Reply is the answer as providers give it.
func (a *AgentAnswer) Reply() AgentReply {
	r := AgentReply{Text: a.Text, Actions: ParseActions(a.Actions), Usage: a.Usage}
	r.Usage.InputTokens, r.Usage.OutputTokens = max(r.Usage.InputTokens, 0), max(r.Usage.OutputTokens, 0)
	for _, p := range a.Parts {
		r.Parts = append(r.Parts, message.Content(p))
	}
	return r
}

// AgentPart is one part of an answer: a content object, or a string that
// stands for a text.
type AgentPart message.Content

// UnmarshalJSON reads either.
func (p *AgentPart) UnmarshalJSON(b []byte) error {
	b = bytes.TrimSpace(b)
	switch {
	case len(b) > 0 && b[0] == '"':
		*p = AgentPart{Type: message.TypeText}
		return json.Unmarshal(b, &p.Text)
	case len(b) > 0 && b[0] == '{':
		*p = AgentPart{}
		if err := json.Unmarshal(b, (*message.Content)(p)); err != nil {
			return err
		}
		p.guessType()
		return nil
	default:
		return errors.New("a part must be a string or a content object")
	}
}

// guessType names the type where the object does not: what it holds tells.
func (p *AgentPart) guessType() {
	switch {
	case p.Type != "":
	case len(p.Media) > 0 && p.Media[0].Type != "":
		p.Type = p.Media[0].Type
	case len(p.Media) > 0:
		p.Type = message.TypeDocument
	case p.Location != nil:
		p.Type = message.TypeLocation
	case p.Contact != nil:
		p.Type = message.TypeContact
	case p.Poll != nil:
		p.Type = message.TypePoll
	case len(p.Buttons) > 0:
		p.Type = message.TypeButtons
	case p.Reaction != nil:
		p.Type = message.TypeReaction
	default:
		p.Type = message.TypeText
	}
}
