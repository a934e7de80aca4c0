package provider

import (
	"context"
	"encoding/json"
	"errors"
	"strings"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/option"

	"github.com/omnihub/omni/internal/omni"
)

const anthropicURL = "https://api.anthropic.com"

// The bound of an answer where the agent has none: the API demands one. It is
// what every model can write, and far more than people read in a chat.
const (
	anthropicTokens  = 8192
	anthropicTokens3 = 4096 // of the first models of generation 3
)

// claude speaks Anthropic's messages, to Anthropic and to servers that speak
// it too.
type claude struct{ deps Deps }

func newAnthropic(deps Deps) *claude { return &claude{deps} }

func (c *claude) reply(ctx context.Context, req omni.AgentRequest) (omni.AgentReply, error) {
	url, key := c.account(req)
	x := &exchange{stream: req.Config.Streaming}
	// NewMessageService, unlike NewClient, takes nothing from the environment.
	service := anthropic.NewMessageService(
		option.WithBaseURL(strings.TrimRight(url, "/")+"/"),
		option.WithHTTPClient(x.client(c.deps.HTTP)),
		option.WithMaxRetries(0),
		option.WithRequestTimeout(maxCall), // else the library refuses long answers that are not streamed
		option.WithHeader(headerIdempotency, req.TurnID.String()),
	)
	if key != "" {
		service.Options = append(service.Options, option.WithAPIKey(key))
	}
	params := anthropic.MessageNewParams{Model: req.Config.Model, MaxTokens: maxTokens(req.Config),
		Messages: anthropicMessages(c.deps.withImages(ctx, req))}
	if req.Config.SystemPrompt != "" {
		params.System = []anthropic.TextBlockParam{{Text: req.Config.SystemPrompt}}
	}
	params.Tools = anthropicTools(req.Config.Actions)
	var answer anthropicAnswer
	var err error
	if req.Config.Streaming {
		answer, err = anthropicStream(ctx, &service, params, req.OnDelta)
	} else {
		answer, err = anthropicWhole(ctx, &service, params)
	}
	text, actions := withTools(req.Config.Actions, answer.text, answer.calls)
	switch {
	case errors.Is(err, errCut):
		return omni.AgentReply{}, &omni.AgentError{Kind: omni.AgentCut, Status: x.status, Reason: err.Error()}
	case err != nil:
		return omni.AgentReply{}, anthropicFailure(ctx, x, err, key)
	case strings.TrimSpace(text) == "" && len(actions) == 0:
		return omni.AgentReply{}, &omni.AgentError{Kind: omni.AgentEmpty, Status: x.status,
			Reason: "the model answered nothing (stop reason " + answer.stop + ")" + hint(answer.stop)}
	}
	return omni.AgentReply{Text: text, Actions: actions, Usage: usageOf(answer.input, answer.output), Details: answer.details()}, nil
}

func maxTokens(c omni.AgentConfig) int64 {
	switch {
	case c.MaxTokens > 0:
		return int64(c.MaxTokens)
	case strings.HasPrefix(c.Model, "claude-3-haiku"), strings.HasPrefix(c.Model, "claude-3-opus"), strings.HasPrefix(c.Model, "claude-3-sonnet"):
		return anthropicTokens3
	default:
		return anthropicTokens
	}
}

// account is where to call and with which key. The hub's own key goes to
// nobody else's server.
func (c *claude) account(req omni.AgentRequest) (url, key string) {
	if req.Config.APIURL != "" {
		return req.Config.APIURL, req.APIKey
	}
	if url = c.deps.AnthropicBaseURL; url == "" {
		url = anthropicURL
	}
	if key = req.APIKey; key == "" {
		key = c.deps.AnthropicAPIKey
	}
	return url, key
}

// anthropicAnswer is what is kept of an answer.
type anthropicAnswer struct {
	text, stop, model string
	input, output     int64 // tokens
	calls             []toolCall
}

func (a *anthropicAnswer) details() map[string]any {
	return finished(a.model, a.stop)
}

func anthropicWhole(ctx context.Context, service *anthropic.MessageService, params anthropic.MessageNewParams) (anthropicAnswer, error) {
	res, err := service.New(ctx, params)
	if err != nil {
		return anthropicAnswer{}, err
	}
	if res.Type != "message" && len(res.Content) == 0 {
		return anthropicAnswer{}, errors.New("it is no message")
	}
	a := anthropicAnswer{stop: string(res.StopReason), model: res.Model, input: res.Usage.InputTokens, output: res.Usage.OutputTokens}
	var text strings.Builder
	for _, block := range res.Content {
		switch block.Type {
		case "text":
			text.WriteString(block.Text)
		case "tool_use":
			a.calls = append(a.calls, toolCall{name: block.Name, arguments: string(block.Input)})
		}
	}
	a.text = text.String()
	return a, nil
}

func anthropicStream(ctx context.Context, service *anthropic.MessageService, params anthropic.MessageNewParams, onDelta func(string)) (anthropicAnswer, error) {
	stream := service.NewStreaming(ctx, params)
	defer stream.Close()
	var a anthropicAnswer
	var text strings.Builder
	events, stopped := 0, false
	for stream.Next() {
		events++
		event := stream.Current()
		switch event.Type {
		case "message_start":
			a.model, a.input = event.Message.Model, event.Message.Usage.InputTokens
		case "content_block_start":
			if event.ContentBlock.Type == "tool_use" {
				a.calls = appendToolCall(a.calls, event.Index, event.ContentBlock.Name, "")
			}
		case "content_block_delta":
			if event.Delta.Type == "input_json_delta" {
				a.calls = appendToolCall(a.calls, event.Index, "", event.Delta.PartialJSON)
			}
			if event.Delta.Type == "text_delta" && event.Delta.Text != "" {
				text.WriteString(event.Delta.Text)
				if onDelta != nil {
					onDelta(event.Delta.Text)
				}
			}
		case "message_delta":
			a.stop, a.output = string(event.Delta.StopReason), event.Usage.OutputTokens
		case "message_stop":
			stopped = true
		}
	}
	if err := stream.Err(); err != nil {
		return anthropicAnswer{}, err
	}
	a.text = text.String()
	switch {
	case stopped || a.stop != "":
		return a, nil
	case events == 0:
		return anthropicAnswer{}, errors.New("the stream held no events")
	default:
		return anthropicAnswer{}, errCut
	}
}

// anthropicFailure says what a failed call was. A stream may tell of a failure
// after it began with 200.
func anthropicFailure(ctx context.Context, x *exchange, err error, key string) error {
	said, ok := errors.AsType[*anthropic.Error](err)
	if !ok || x.status >= 300 || x.err != nil || ctx.Err() != nil {
		return x.failure(ctx, err, key)
	}
	var event struct {
		Error struct {
			Type    string `json:"type"`
			Message string `json:"message"`
		} `json:"error"`
	}
	_ = json.Unmarshal([]byte(said.RawJSON()), &event)
	e := &omni.AgentError{Kind: omni.AgentTransient, Status: x.status, Reason: event.Error.Message}
	switch event.Error.Type {
	case "rate_limit_error":
		e.Kind = omni.AgentRateLimited
	case "authentication_error", "permission_error", "billing_error":
		e.Kind = omni.AgentBadCredentials
	case "invalid_request_error", "not_found_error", "request_too_large":
		e.Kind = omni.AgentBadRequest
	}
	if e.Reason == "" {
		e.Reason = "the stream ended with an error"
	}
	return scrubbed(e, key)
}
