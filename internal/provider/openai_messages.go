package provider

import (
	"fmt"
	"slices"
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
		text := describe(m.Text, m.Content, shown)
		if m.Kind == message.KindReaction {
			text = describeReaction(m.Text, m.Target)
		}
		list = append(list, userMessage(text, shown, senderIf(group, m.SenderName, m.SenderID)))
	}
	for _, m := range past {
		list = appendPast(list, m, group)
	}
	return list
}

func appendPast(list []openai.ChatCompletionMessageParamUnion, m omni.PastMessage, group bool) []openai.ChatCompletionMessageParamUnion {
	text := pastText(m)
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

// maxQuoted is how much of a message is repeated to say which one is meant.
const maxQuoted = 500

// describeReaction says who put which emoji on what we had written: the sender
// is the message's own.
func describeReaction(emoji string, target *omni.ReactionTarget) string {
	if target == nil || target.Text == "" {
		return "[reaction: " + emoji + "]"
	}
	quoted := []rune(target.Text)
	if len(quoted) > maxQuoted {
		quoted = append(quoted[:maxQuoted], '…')
	}
	return fmt.Sprintf("[reaction: %s to your message %q]", emoji, string(quoted))
}

// pastText is a past message as text. Its images are not shown again.
func pastText(m omni.PastMessage) string {
	if m.Kind == message.KindReaction {
		return describeReaction(m.Text, m.Target)
	}
	return describe(m.Text, m.Content, nil)
}

// describe is a message as text: what was typed, or, where nothing was, what
// was sent instead. Images that are shown need no words.
func describe(text string, c message.Content, shown []string) string {
	if text != "" {
		for _, m := range c.Media {
			if m.Ref == unavailable {
				text += "\n" + describeMedia(m)
			}
		}
		return text
	}
	switch {
	case c.Location != nil:
		return strings.TrimSpace(fmt.Sprintf("[location: %g, %g %s", c.Location.Latitude, c.Location.Longitude, c.Location.Name)) + "]"
	case c.Contact != nil:
		return strings.TrimSpace("[contact: "+c.Contact.Name+" "+c.Contact.Phone) + "]"
	case c.Poll != nil:
		return "[poll: " + c.Poll.Question + " / " + strings.Join(c.Poll.Options, " / ") + "]"
	case c.Reaction != nil:
		return "[reaction: " + c.Reaction.Emoji + "]"
	}
	var said []string
	for _, m := range c.Media {
		if !slices.Contains(shown, m.URL) {
			said = append(said, describeMedia(m))
		}
	}
	if len(said) == 0 && len(c.Media) == 0 && c.Type != "" && c.Type != message.TypeText {
		said = append(said, fmt.Sprintf("[%s]", c.Type))
	}
	return strings.Join(said, "\n")
}

// describeMedia names an attachment that is not shown.
func describeMedia(m message.Media) string {
	said := string(m.Type)
	if m.Filename != "" {
		said += ": " + m.Filename
	}
	if m.Ref == unavailable {
		said += " (could not be shown)"
	}
	return "[" + said + "]"
}
