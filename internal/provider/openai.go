package provider

import (
	"bytes"
	"context"
	"errors"
	"net/url"
	"strings"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"github.com/omnihub/omni/internal/omni"
)

const openAIURL = "https://api.openai.com/v1"

// openAI speaks OpenAI's chat completions, to OpenAI and to the many servers
// that speak it too.
type openAI struct{ deps Deps }

func newOpenAI(deps Deps) *openAI { return &openAI{deps} }

func (o *openAI) reply(ctx context.Context, req omni.AgentRequest) (omni.AgentReply, error) {
	base, key := o.account(req)
	x := &exchange{stream: req.Config.Streaming}
	// NewChatService, unlike NewClient, takes nothing from the environment: a
	// key found there must not go to whatever server an instance names.
	service := openai.NewChatService(
		option.WithBaseURL(strings.TrimRight(base, "/")+"/"),
		option.WithHTTPClient(x.client(o.deps.HTTP)),
		option.WithMaxRetries(0),
		option.WithHeader("Idempotency-Key", req.TurnID.String()),
	)
	if key != "" {
		service.Completions.Options = append(service.Completions.Options, option.WithAPIKey(key))
	}
	params := openai.ChatCompletionNewParams{Model: req.Config.Model, Messages: openAIMessages(o.deps.withImages(ctx, req)),
		Tools: openAITools(req.Config.Actions)}
	if most := int64(req.Config.MaxTokens); most > 0 && isOpenAI(base) {
		params.MaxCompletionTokens = openai.Int(most)
	} else if most > 0 {
		params.MaxTokens = openai.Int(most)
	}
	var answer completion
	var err error
	if req.Config.Streaming {
		answer, err = streamed(ctx, &service, params, x, req.OnDelta)
	} else {
		answer, err = whole(ctx, &service, params)
	}
	text, actions := withTools(req.Config.Actions, answer.text, answer.calls)
	switch {
	case errors.Is(err, errCut):
		return omni.AgentReply{}, &omni.AgentError{Kind: omni.AgentCut, Status: x.status, Reason: err.Error()}
	case err != nil:
		return omni.AgentReply{}, x.failure(ctx, err, key)
	case strings.TrimSpace(text) == "" && len(actions) == 0:
		return omni.AgentReply{}, &omni.AgentError{Kind: omni.AgentEmpty, Status: x.status,
			Reason: "the model answered nothing (finish reason " + answer.finish + ")" + hint(answer.finish)}
	}
	return omni.AgentReply{Text: text, Actions: actions, Usage: usageOf(answer.usage.PromptTokens, answer.usage.CompletionTokens),
		Details: answer.details()}, nil
}

// account is where to call and with which key. The hub's own key goes to
// nobody else's server.
func (o *openAI) account(req omni.AgentRequest) (base, key string) {
	if req.Config.APIURL != "" {
		return req.Config.APIURL, req.APIKey
	}
	if base = o.deps.OpenAIBaseURL; base == "" {
		base = openAIURL
	}
	if key = req.APIKey; key == "" {
		key = o.deps.OpenAIAPIKey
	}
	return base, key
}

// isOpenAI reports whether a server is OpenAI's own: its newer models refuse
// the field that most others know.
func isOpenAI(base string) bool {
	u, err := url.Parse(base)
	if err != nil {
		return false
	}
	host := strings.ToLower(u.Hostname())
	return host == "api.openai.com" || strings.HasSuffix(host, ".openai.com") || strings.HasSuffix(host, ".openai.azure.com")
}

// completion is what is kept of an answer.
type completion struct {
	text, refusal, finish, model string
	usage                        openai.CompletionUsage
	calls                        []toolCall
}

func (c *completion) details() map[string]any {
	return finished(c.model, c.finish)
}

// refused falls back to what a model says instead of an answer: it is meant
// for the person.
func (c *completion) refused() {
	if c.text == "" {
		c.text = c.refusal
	}
}

func whole(ctx context.Context, service *openai.ChatService, params openai.ChatCompletionNewParams) (completion, error) {
	res, err := service.Completions.New(ctx, params)
	if err != nil {
		return completion{}, err
	}
	if len(res.Choices) == 0 {
		return completion{}, errNoChoices
	}
	choice := res.Choices[0]
	c := completion{text: choice.Message.Content, refusal: choice.Message.Refusal, finish: choice.FinishReason,
		model: res.Model, usage: res.Usage}
	for _, call := range choice.Message.ToolCalls {
		c.calls = append(c.calls, toolCall{name: call.Function.Name, arguments: call.Function.Arguments})
	}
	c.refused()
	return c, nil
}

var (
	errNoChoices = errors.New("it has no choices")
	errCut       = errors.New("the stream ended before the answer did")
)

func streamed(ctx context.Context, service *openai.ChatService, params openai.ChatCompletionNewParams, x *exchange,
	onDelta func(string)) (completion, error) {
	stream := service.Completions.NewStreaming(ctx, params)
	defer stream.Close()
	var c completion
	var text, refusal strings.Builder
	events := 0
	for stream.Next() {
		events++
		chunk := stream.Current()
		if chunk.Model != "" {
			c.model = chunk.Model
		}
		if chunk.Usage.TotalTokens > 0 {
			c.usage = chunk.Usage
		}
		for _, choice := range chunk.Choices {
			if choice.Index != 0 {
				continue
			}
			text.WriteString(choice.Delta.Content)
			if onDelta != nil && choice.Delta.Content != "" {
				onDelta(choice.Delta.Content)
			}
			refusal.WriteString(choice.Delta.Refusal)
			for _, call := range choice.Delta.ToolCalls {
				c.calls = appendToolCall(c.calls, call.Index, call.Function.Name, call.Function.Arguments)
			}
			if choice.FinishReason != "" {
				c.finish = choice.FinishReason
			}
		}
	}
	if err := stream.Err(); err != nil {
		return completion{}, err
	}
	c.text, c.refusal = text.String(), refusal.String()
	c.refused()
	if c.finish == "" && !bytes.Contains(x.tail.last, []byte("[DONE]")) {
		if events == 0 {
			return completion{}, errors.New("the stream held no events")
		}
		return completion{}, errCut
	}
	return c, nil
}
