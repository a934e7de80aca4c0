package message

import "time"

// Kind says what happened, or what Omni wants done, on the platform.
type Kind string

// The kinds of inbound and outbound traffic.
const (
	KindMessage   Kind = "message"
	KindEdit      Kind = "edit"
	KindDelete    Kind = "delete"
	KindReaction  Kind = "reaction"
	KindTyping    Kind = "typing"
	KindRead      Kind = "read"
	KindDelivered Kind = "delivered"
)

// Kinds lists every kind that may come in, in documentation order.
func Kinds() []Kind {
	return []Kind{KindMessage, KindEdit, KindDelete, KindReaction, KindTyping, KindRead, KindDelivered}
}

// ChatType says how many people a conversation has.
type ChatType string

// The types of conversation.
const (
	ChatDM    ChatType = "dm"
	ChatGroup ChatType = "group"
)

// Chat is one conversation, named by the platform's own id.
type Chat struct {
	ID   string   `json:"id"`
	Type ChatType `json:"type,omitempty"`
	Name string   `json:"name,omitempty"`
}

// Sender is the account that acted, named by the platform's own id. Phone and
// Email are set only where the platform verified them.
type Sender struct {
	ID       string `json:"id"`
	Name     string `json:"name,omitempty"`
	Username string `json:"username,omitempty"`
	Phone    string `json:"phone,omitempty"` // as the platform gave it; E.164 after normalisation
	Email    string `json:"email,omitempty"`
	IsBot    bool   `json:"isBot,omitempty"`
}

// Inbound is one thing that happened on a platform, normalised.
//
// ID is the platform's own event id and must be unique within the instance
// (on Telegram: chat and message id). Kind, ID and Revision together are the
// external key, so an edit or a reaction is never taken for its target.
type Inbound struct {
	ID        string    `json:"id"`
	Kind      Kind      `json:"kind"`
	Revision  int       `json:"revision,omitempty"`
	Timestamp time.Time `json:"timestamp"`
	IsFromMe  bool      `json:"isFromMe,omitempty"`
	Chat      Chat      `json:"chat"`
	Sender    Sender    `json:"sender"`
	Content   Content   `json:"content"`
	TargetID  string    `json:"targetId,omitempty"` // edit, delete, reaction, read: the platform id acted on
	ReplyTo   string    `json:"replyTo,omitempty"`
	Mentions  []string  `json:"mentions,omitempty"`

	MentionsMe bool `json:"mentionsMe,omitempty"` // the bot account itself was mentioned
	ReplyToMe  bool `json:"replyToMe,omitempty"`  // answers something the bot account wrote
	Backfill   bool `json:"backfill,omitempty"`   // history sync: recorded, answered only if young

	// ClientID is the Key of the Outbound that this is the echo of, where the
	// platform gives it back: with IsFromMe.
	ClientID string `json:"clientId,omitempty"`
}
