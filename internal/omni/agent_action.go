package omni

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/omnihub/omni/channels/message"
)

// AgentActionType names what an agent wants done beside saying something.
type AgentActionType string

// The actions of agents.
const (
	ActionButtons AgentActionType = "buttons"  // a message with buttons under it
	ActionMedia   AgentActionType = "media"    // a picture, a sound, a film, a file
	ActionReact   AgentActionType = "react"    // an emoji on a message of the turn
	ActionNoReply AgentActionType = "no_reply" // say nothing this time
	ActionHandoff AgentActionType = "handoff"  // a person takes the chat over
	ActionClose   AgentActionType = "close"    // the conversation is over: the next message begins a new session
)

// AgentActionTypes lists every action, in documentation order.
func AgentActionTypes() []AgentActionType {
	return []AgentActionType{ActionButtons, ActionMedia, ActionReact, ActionNoReply, ActionHandoff, ActionClose}
}

// AgentAction is one thing that an agent wants done. Its JSON is what agents
// answer with, what the turn keeps, and what the log says.
type AgentAction struct {
	Type         AgentActionType `json:"type"`
	Emoji        string          `json:"emoji,omitempty"`        // react
	MessageID    *uuid.UUID      `json:"messageId,omitempty"`    // react: a message of the turn; nil: the last one
	Reason       string          `json:"reason,omitempty"`       // for people
	UntilSeconds int             `json:"untilSeconds,omitempty"` // handoff; 0: until resumed

	Part *message.Content `json:"part,omitempty"` // buttons, media: the message that it is

	// Problem says why it is not carried out, "" if it is. It is then said in
	// the log: nothing that an agent asks for is dropped in silence.
	Problem string `json:"problem,omitempty"`
}

// The bounds of what an agent may ask for in one answer.
const (
	maxActions         = 20
	maxReactions       = 5
	maxActionReason    = 500 // characters
	maxActionType      = 64  // bytes
	maxEmoji           = 64  // bytes
	maxHandoffSeconds  = 365 * 24 * 3600
	problemUnknown     = "unknown action"
	problemGivenTwice  = "was asked for before in the same answer"
	problemTooMany     = "more actions than an answer may have"
	problemNoList      = "actions is not a list"
	problemNoObject    = "is not an object with a type"
	problemEmoji       = "emoji must be one emoji, or a platform's name of one"
	problemMessageID   = "messageId is not the id of a message"
	problemUntil       = "untilSeconds must be a whole number between 0 and 31536000"
	problemReasonText  = "reason must be a text"
	problemNoPart      = "says no message"
	unknownActionTypes = "unknown"
)

// ParseActions reads the field actions of an agent's answer. What cannot be
// carried out is returned too, with its Problem; a nil or null raw is none.
func ParseActions(raw json.RawMessage) []AgentAction {
	if len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil {
		return []AgentAction{{Type: unknownActionTypes, Problem: problemNoList}}
	}
	actions := make([]AgentAction, 0, min(len(list), maxActions+1))
	for _, one := range list {
		if len(actions) == maxActions {
			actions = append(actions, AgentAction{Type: unknownActionTypes, Problem: problemTooMany})
			break
		}
		actions = append(actions, parseAction(one))
	}
	return CheckActions(actions)
}

// parseAction reads one action by itself.
func parseAction(raw json.RawMessage) AgentAction {
	var in struct {
		Type         *string         `json:"type"`
		Emoji        json.RawMessage `json:"emoji"`
		MessageID    json.RawMessage `json:"messageId"`
		Reason       json.RawMessage `json:"reason"`
		UntilSeconds json.RawMessage `json:"untilSeconds"`
	}
	if json.Unmarshal(raw, &in) != nil || in.Type == nil {
		return AgentAction{Type: unknownActionTypes, Problem: problemNoObject}
	}
	a := AgentAction{Type: AgentActionType(*in.Type)}
	if !slices.Contains(AgentActionTypes(), a.Type) {
		return AgentAction{Type: AgentActionType(cutBytes(CleanText(*in.Type), maxActionType)), Problem: problemUnknown}
	}
	if given(in.Reason) {
		if json.Unmarshal(in.Reason, &a.Reason) != nil {
			a.Problem = problemReasonText
		}
		a.Reason = cutRunes(strings.TrimSpace(CleanText(a.Reason)), maxActionReason)
	}
	switch a.Type { //nolint:exhaustive // the others have no fields of their own
	case ActionButtons:
		a.parseButtons(raw)
	case ActionMedia:
		a.parseMedia(raw)
	case ActionReact:
		if json.Unmarshal(in.Emoji, &a.Emoji) != nil {
			a.Emoji = ""
		}
		if given(in.MessageID) && json.Unmarshal(in.MessageID, &a.MessageID) != nil {
			a.MessageID, a.Problem = nil, problemMessageID
		}
	case ActionHandoff:
		if given(in.UntilSeconds) && json.Unmarshal(in.UntilSeconds, &a.UntilSeconds) != nil {
			a.UntilSeconds, a.Problem = 0, problemUntil
		}
	}
	return a
}

func given(raw json.RawMessage) bool { return len(raw) > 0 && string(raw) != "null" }

// CheckActions marks what is out of bounds, or asked for twice. It changes the
// actions in place.
func CheckActions(actions []AgentAction) []AgentAction {
	reactions := 0
	seen := map[AgentActionType]bool{}
	for i := range actions {
		a := &actions[i]
		if a.Problem != "" {
			continue
		}
		switch a.Type {
		case ActionReact:
			if !validEmoji(a.Emoji) {
				a.Emoji, a.Problem = "", problemEmoji
			} else if reactions++; reactions > maxReactions {
				a.Problem = problemTooMany
			}
			continue
		case ActionHandoff:
			if a.UntilSeconds < 0 || a.UntilSeconds > maxHandoffSeconds {
				a.UntilSeconds, a.Problem = 0, problemUntil
				continue
			}
		case ActionButtons, ActionMedia:
			if a.Part == nil {
				a.Problem = problemNoPart
			}
			continue
		case ActionNoReply, ActionClose:
		default:
			a.Problem = problemUnknown
			continue
		}
		if seen[a.Type] {
			a.Problem = problemGivenTwice
		}
		seen[a.Type] = true
	}
	return actions
}

// validEmoji takes an emoji, or a platform's own name of one.
func validEmoji(s string) bool {
	return s != "" && len(s) <= maxEmoji && utf8.ValidString(s) &&
		!strings.ContainsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) })
}

// HasAction reports whether an action of that type is to be carried out.
func HasAction(actions []AgentAction, typ AgentActionType) bool {
	return slices.ContainsFunc(actions, func(a AgentAction) bool { return a.Type == typ && a.Problem == "" })
}

// Problems are the actions that are not carried out, in words.
func Problems(actions []AgentAction) []string {
	var said []string
	for _, a := range actions {
		if a.Problem != "" {
			said = append(said, fmt.Sprintf("%s: %s", a.Type, a.Problem))
		}
	}
	return said
}

func cutRunes(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n])
}

func cutBytes(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "")
}
