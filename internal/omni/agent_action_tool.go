package omni

import (
	"encoding/json"
	"slices"
)

// ActionTool is an action as it is declared to a language model: a function
// that it may call. Parameters is a JSON schema.
type ActionTool struct {
	Name        string
	Description string
	Parameters  map[string]any
}

// ActionTools are the functions of the actions that an agent's configuration
// allows, in documentation order; none for none. Each takes text as well: a
// model that calls a function mostly says nothing beside it, and it is asked
// only once.
func ActionTools(allowed []AgentActionType) []ActionTool {
	var tools []ActionTool
	for _, typ := range AgentActionTypes() {
		if slices.Contains(allowed, typ) {
			tools = append(tools, actionTool(typ))
		}
	}
	return tools
}

func actionTool(typ AgentActionType) ActionTool {
	text := map[string]any{"type": "string", "description": "what to say to the person beside it; leave out to say nothing more"}
	reason := map[string]any{"type": "string", "description": "why, in a few words, for the operators"}
	properties, required := map[string]any{}, []string{}
	t := ActionTool{Name: string(typ)}
	switch typ {
	case ActionButtons:
		t.Description = "Send a message with buttons under it, of which the person may press one; its text comes back as their next message."
		properties["text"] = map[string]any{"type": "string", "description": "the message that the buttons stand under; do not repeat it elsewhere"}
		properties["buttons"] = map[string]any{"type": "array", "items": map[string]any{"type": "string"}, "minItems": 1, "maxItems": maxActionButtons,
			"description": "what is written on the buttons, in a few words each"}
		required = []string{"text", "buttons"}
	case ActionMedia:
		t.Description = "Send a picture, a sound, a film or a file that is to be found at a public address. Make no address up."
		properties["url"] = map[string]any{"type": "string", "description": "its address, https"}
		properties["mediaType"] = map[string]any{"type": "string", "enum": actionMedia}
		properties["text"] = map[string]any{"type": "string", "description": "a caption; leave out for none"}
		required = []string{"url", "mediaType"}
	case ActionReact:
		t.Description = "Put an emoji on the person's last message."
		properties["emoji"] = map[string]any{"type": "string", "description": "one emoji"}
		properties["text"] = text
		required = []string{"emoji"}
	case ActionNoReply:
		t.Description = "Say nothing this time. Use it where no answer is expected of you."
		properties["reason"] = reason
	case ActionHandoff:
		t.Description = "Hand the conversation over to a human colleague; you will be silent until they hand it back."
		properties["reason"] = reason
		properties["untilSeconds"] = map[string]any{"type": "integer", "description": "hand back by itself after so many seconds; leave out to wait for the colleague"}
		properties["text"] = text
		required = []string{"reason"}
	case ActionClose:
		t.Description = "End the conversation: the next message begins a new one, of which this one is forgotten."
		properties["reason"] = reason
		properties["text"] = text
	}
	t.Parameters = map[string]any{"type": "object", "properties": properties, "required": required, "additionalProperties": false}
	return t
}

// ToolAction reads a model's call of an action's function: the action, and what
// it wants said beside it. A function that was not declared comes back with a
// Problem, like arguments that make no sense.
func ToolAction(allowed []AgentActionType, name, arguments string) (AgentAction, string) {
	if !slices.Contains(allowed, AgentActionType(name)) {
		return AgentAction{Type: AgentActionType(cutBytes(CleanText(name), maxActionType)), Problem: problemUnknown}, ""
	}
	fields := map[string]json.RawMessage{}
	if arguments != "" && json.Unmarshal([]byte(arguments), &fields) != nil || fields == nil {
		return AgentAction{Type: AgentActionType(name), Problem: problemNoObject}, ""
	}
	var text string
	if !AgentActionType(name).isPart() { // there it is the message's own
		_ = json.Unmarshal(fields["text"], &text) // not a text: nothing to say
	}
	typ, err := json.Marshal(name)
	if err != nil {
		return AgentAction{Type: unknownActionTypes, Problem: problemUnknown}, ""
	}
	fields["type"] = typ
	raw, err := json.Marshal(fields)
	if err != nil {
		return AgentAction{Type: AgentActionType(name), Problem: problemNoObject}, ""
	}
	return parseAction(raw), text
}
