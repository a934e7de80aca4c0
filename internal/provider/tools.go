package provider

import (
	"slices"
	"strings"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/openai/openai-go/v3"

	"github.com/omnihub/omni/internal/omni"
)

// toolCall is a function that a model calls. Nothing is answered to it: what
// is to be done is done after the model has had its say.
type toolCall struct {
	index           int64 // in a stream: which call the pieces belong to
	name, arguments string
}

// maxToolCalls of one answer are kept, and as much of their arguments.
const (
	maxToolCalls     = 32
	maxToolArguments = 64 << 10
)

// appendToolCall puts a piece of a stream where it belongs.
func appendToolCall(calls []toolCall, index int64, name, arguments string) []toolCall {
	i := slices.IndexFunc(calls, func(c toolCall) bool { return c.index == index })
	if i < 0 {
		if len(calls) == maxToolCalls {
			return calls
		}
		calls = append(calls, toolCall{index: index})
		i = len(calls) - 1
	}
	calls[i].name += name
	if len(calls[i].arguments)+len(arguments) <= maxToolArguments {
		calls[i].arguments += arguments
	}
	return calls
}

// withTools reads the calls as actions, and what is to be said beside them.
func withTools(allowed []omni.AgentActionType, text string, calls []toolCall) (string, []omni.AgentAction) {
	var actions []omni.AgentAction
	for _, call := range calls[:min(len(calls), maxToolCalls)] {
		action, said := omni.ToolAction(allowed, call.name, call.arguments)
		actions = append(actions, action)
		if said = strings.TrimSpace(said); said != "" {
			text = strings.TrimSpace(text + "\n\n" + said)
		}
	}
	return text, actions
}

func openAITools(allowed []omni.AgentActionType) []openai.ChatCompletionToolUnionParam {
	var tools []openai.ChatCompletionToolUnionParam
	for _, t := range omni.ActionTools(allowed) {
		tools = append(tools, openai.ChatCompletionFunctionTool(openai.FunctionDefinitionParam{Name: t.Name,
			Description: openai.String(t.Description), Parameters: t.Parameters}))
	}
	return tools
}

func anthropicTools(allowed []omni.AgentActionType) []anthropic.ToolUnionParam {
	var tools []anthropic.ToolUnionParam
	for _, t := range omni.ActionTools(allowed) {
		required, _ := t.Parameters["required"].([]string)
		tools = append(tools, anthropic.ToolUnionParam{OfTool: &anthropic.ToolParam{Name: t.Name, Description: anthropic.String(t.Description),
			InputSchema: anthropic.ToolInputSchemaParam{Properties: t.Parameters["properties"], Required: required}}})
	}
	return tools
}

func usageOf(input, output int64) omni.AgentUsage {
	return omni.AgentUsage{InputTokens: int(max(input, 0)), OutputTokens: int(max(output, 0))}
}
