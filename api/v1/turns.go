package v1

import (
	"context"
	"encoding/json"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/control"
	"github.com/omnihub/omni/internal/omni"
)

// TurnReply is what an agent says by a call of its own.
type TurnReply struct {
	Text  string      `json:"text,omitempty" doc:"Markdown; instead of parts"`
	Parts []replyPart `json:"parts,omitempty" maxItems:"50" doc:"sent one after the other: strings, or content objects"`

	Actions []any            `json:"actions,omitempty" maxItems:"100" doc:"what is to be done beside: objects with a type (react, no_reply, handoff, close)"`
	Usage   *omni.AgentUsage `json:"usage,omitempty" doc:"what the answer took"`
}

// replyPart is an omni.AgentPart with its schema.
type replyPart omni.AgentPart

// UnmarshalJSON reads a string or a content object.
func (p *replyPart) UnmarshalJSON(b []byte) error { return (*omni.AgentPart)(p).UnmarshalJSON(b) }

// Schema of a part.
func (replyPart) Schema(r huma.Registry) *huma.Schema {
	return &huma.Schema{OneOf: []*huma.Schema{{Type: huma.TypeString},
		r.Schema(reflect.TypeFor[message.Content](), true, "Content")}}
}

type replyTurn struct {
	ByID
	Body TurnReply
}

func (r *routes) turns() {
	add(r, endpoint{id: "reply-to-turn", method: http.MethodPost, path: "/turns/{id}/reply", tag: "turns", scope: "turns:write",
		summary: "Answer a turn that a webhook agent has accepted with 202",
		doc: "Taken once, until the agent's timeoutSeconds have passed since it was asked; also before its 202 was read. " +
			"The same reply again is answered alike, another one with 409."},
		func(ctx context.Context, who *omni.APIKey, in *replyTurn) (*one[control.TurnReplied], error) {
			answer := omni.AgentAnswer{Text: in.Body.Text}
			for _, p := range in.Body.Parts {
				answer.Parts = append(answer.Parts, omni.AgentPart(p))
			}
			if in.Body.Usage != nil {
				answer.Usage = *in.Body.Usage
			}
			if len(in.Body.Actions) > 0 {
				var err error
				if answer.Actions, err = json.Marshal(in.Body.Actions); err != nil {
					return nil, err
				}
			}
			return oneOf(r.Turns.Reply(ctx, who, in.ID.UUID, answer))
		})
}
