package provider

import (
	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
)

// messageText is a message of the batch in words, attachments named.
func messageText(req omni.AgentRequest, m omni.TurnMessage) string {
	text := describe(m.Text, m.Content, nil)
	if m.Kind == message.KindReaction {
		text = describeReaction(m.Text, m.Target)
	}
	if text == "" {
		return ""
	}
	return spoken(senderIf(req.Chat.Type == message.ChatGroup, m.SenderName, m.SenderID), text)
}
