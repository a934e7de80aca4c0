package provider

import (
	"strings"

	"github.com/anthropics/anthropic-sdk-go"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
)

// omitted stands for what is not shown of a conversation: the API wants people
// to speak first, and what is remembered may begin with an answer.
const omitted = "[…]"

// anthropicMessages lays a turn out as a conversation. What people said is only
// ever the content of user messages: nothing of it reaches the instructions.
func anthropicMessages(req omni.AgentRequest) []anthropic.MessageParam {
	group := req.Chat.Type == message.ChatGroup
	list := make([]anthropic.MessageParam, 0, len(req.History)+len(req.Messages)+1)
	past := req.History
	for i, m := range req.Messages {
		last := i == len(req.Messages)-1 // an answer behind it would be taken for the beginning of the next one
		for len(past) > 0 && (last || past[0].SaidBefore(&m)) {
			list = anthropicPast(list, past[0], group)
			past = past[1:]
		}
		shown := images(m.Content)
		list = anthropicSaid(list, spoken(senderIf(group, m.SenderName, m.SenderID), turnText(m, shown, group)), shown)
	}
	return list
}

func anthropicPast(list []anthropic.MessageParam, m omni.PastMessage, group bool) []anthropic.MessageParam {
	text := strings.TrimRight(pastText(m, group), " \t\r\n") // refused at the end of an assistant's words
	switch {
	case text == "":
		return list
	case m.FromAgent:
		if len(list) == 0 {
			list = anthropicSaid(list, omitted, nil)
		}
		return append(list, anthropic.NewAssistantMessage(anthropic.NewTextBlock(text)))
	default:
		return anthropicSaid(list, spoken(senderIf(group, m.SenderName, m.SenderID), text), nil)
	}
}

// anthropicSaid adds what a person said. A message without text and images,
// which the API would refuse, is not there.
func anthropicSaid(list []anthropic.MessageParam, text string, images []string) []anthropic.MessageParam {
	var blocks []anthropic.ContentBlockParamUnion
	if strings.TrimSpace(text) != "" {
		blocks = append(blocks, anthropic.NewTextBlock(text))
	}
	for _, url := range images {
		if kind, data, ok := dataImage(url); ok {
			blocks = append(blocks, anthropic.NewImageBlockBase64(kind, data))
			continue
		}
		blocks = append(blocks, anthropic.NewImageBlock(anthropic.URLImageSourceParam{URL: url}))
	}
	if len(blocks) == 0 {
		return list
	}
	return append(list, anthropic.NewUserMessage(blocks...))
}

// dataImage takes a data URL of an image apart.
func dataImage(url string) (kind, data string, ok bool) {
	rest, ok := strings.CutPrefix(url, "data:")
	if !ok {
		return "", "", false
	}
	return strings.Cut(rest, ";base64,")
}
