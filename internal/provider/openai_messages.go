package provider

import (
	"strings"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/packages/param"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
)

// openAIMessages lays a turn out as a conversation. What people said is only
// ever the content of user messages: nothing of it reaches the instructions.
func openAIMessages(req omni.AgentRequest) []openai.ChatCompletionMessageParamUnion {
	group := req.Chat.Type == message.ChatGroup
	list := make([]openai.ChatCompletionMessageParamUnion, 0, len(req.History)+len(req.Messages)+1)
	if req.Config.SystemPrompt != "" {
		list = append(list, openai.SystemMessage(req.Config.SystemPrompt))
	}
	past := req.History
	for _, m := range req.Messages {
		for len(past) > 0 && past[0].SaidBefore(&m) {
			list = appendPast(list, past[0], group)
			past = past[1:]
		}
		shown := images(m.Content)
		list = append(list, userMessage(turnText(m, shown, group), shown, senderIf(group, m.SenderName, m.SenderID)))
	}
	for _, m := range past {
		list = appendPast(list, m, group)
	}
	return list
}

func appendPast(list []openai.ChatCompletionMessageParamUnion, m omni.PastMessage, group bool) []openai.ChatCompletionMessageParamUnion {
	text := pastText(m, group)
	switch {
	case text == "":
		return list
	case m.FromAgent:
		return append(list, openai.AssistantMessage(text))
	default:
		return append(list, userMessage(text, nil, senderIf(group, m.SenderName, m.SenderID)))
	}
}

func senderIf(group bool, name, id string) string {
	switch {
	case !group:
		return ""
	case name != "":
		return name
	default:
		return id
	}
}

func userMessage(text string, images []string, sender string) openai.ChatCompletionMessageParamUnion {
	name, ok := apiName(sender)
	if !ok {
		text = spoken(sender, text)
	}
	user := openai.ChatCompletionUserMessageParam{}
	if ok {
		user.Name = param.NewOpt(name)
	}
	if len(images) == 0 {
		user.Content.OfString = param.NewOpt(text)
		return openai.ChatCompletionMessageParamUnion{OfUser: &user}
	}
	if text != "" {
		user.Content.OfArrayOfContentParts = append(user.Content.OfArrayOfContentParts, openai.TextContentPart(text))
	}
	for _, url := range images {
		user.Content.OfArrayOfContentParts = append(user.Content.OfArrayOfContentParts,
			openai.ImageContentPart(openai.ChatCompletionContentPartImageImageURLParam{URL: url}))
	}
	return openai.ChatCompletionMessageParamUnion{OfUser: &user}
}

// apiName is a name as the field of that name takes it: letters, digits,
// underscore and hyphen, at most 64. ok is false where that would lose some of
// it; then the name goes in front of the text.
func apiName(sender string) (name string, ok bool) {
	name = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_', r == '-':
			return r
		case r == ' ':
			return '_'
		default:
			return -1
		}
	}, sender)
	return name, name != "" && len(name) <= 64 && len(name) == len(sender)
}
