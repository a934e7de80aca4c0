package omni

import "github.com/omnihub/omni/channels/message"

// MessageFacts is what the triggers need to know of a message, beside its text.
type MessageFacts struct {
	ChatType   message.ChatType `json:"chatType,omitempty"`
	Mentions   []string         `json:"mentions,omitempty"`
	MentionsMe bool             `json:"mentionsMe,omitempty"`
	ReplyToMe  bool             `json:"replyToMe,omitempty"`
	IsBot      bool             `json:"isBot,omitempty"`
	Backfill   bool             `json:"backfill,omitempty"`
	Emoji      string           `json:"emoji,omitempty"` // of a reaction that was put on
}

// FactsOf extracts the facts of an inbound event.
func FactsOf(in *message.Inbound) MessageFacts {
	f := MessageFacts{ChatType: in.Chat.Type, Mentions: in.Mentions, MentionsMe: in.MentionsMe, ReplyToMe: in.ReplyToMe,
		IsBot: in.Sender.IsBot, Backfill: in.Backfill}
	if f.ChatType == "" {
		f.ChatType = message.ChatDM
	}
	if in.Content.Reaction != nil && !in.Content.Reaction.Removed {
		f.Emoji = in.Content.Reaction.Emoji
	}
	return f
}
