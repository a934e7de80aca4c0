package telegram

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-telegram/bot/models"

	"github.com/omnihub/omni/channels/message"
)

// account is the bot itself, as far as it is known.
type account struct {
	id       int64
	username string // without @; "" before getMe answered
}

// convert normalises one raw update. Updates that say nothing to us (service
// messages, kinds we did not ask for) give nothing. An error means that the
// update cannot be read at all.
func convert(raw []byte, me account) (updateID int64, events []message.Inbound, err error) {
	var u models.Update
	if err := json.Unmarshal(raw, &u); err != nil {
		// The id is still wanted: the update must not come for ever.
		var head struct {
			ID int64 `json:"update_id"`
		}
		if json.Unmarshal(raw, &head) != nil {
			return 0, nil, fmt.Errorf("decoding update: %w", err)
		}
		return head.ID, nil, fmt.Errorf("decoding update %d: %w", head.ID, err)
	}
	switch {
	case u.Message != nil:
		if in, ok := convertMessage(u.Message, me); ok {
			events = append(events, in)
		}
	case u.EditedMessage != nil:
		if in, ok := convertEdit(u.ID, u.EditedMessage, me); ok {
			events = append(events, in)
		}
	case u.MessageReaction != nil:
		events = convertReaction(u.ID, u.MessageReaction)
	case u.CallbackQuery != nil:
		if in, ok := convertPress(u.CallbackQuery); ok {
			events = append(events, in)
		}
	}
	return u.ID, events, nil
}

func convertMessage(m *models.Message, me account) (message.Inbound, bool) {
	content, ok := convertContent(m)
	if !ok {
		return message.Inbound{}, false
	}
	in := message.Inbound{
		ID: messageID(m.Chat.ID, m.ID), Kind: message.KindMessage, Timestamp: unix(m.Date),
		Chat: chatOf(m), Sender: senderOf(m), Content: content,
	}
	in.Mentions, in.MentionsMe = mentions(m, me)
	if r := m.ReplyToMessage; r != nil && !isTopicRoot(m) {
		in.ReplyTo = messageID(r.Chat.ID, r.ID)
		in.ReplyToMe = r.From != nil && r.From.ID == me.id
	}
	in.IsFromMe = m.From != nil && m.From.ID == me.id
	return in, true
}

// isTopicRoot tells the message that opened a topic from a real reply: every
// message in a topic that replies to nothing "replies" to it.
func isTopicRoot(m *models.Message) bool {
	return m.IsTopicMessage && m.ReplyToMessage.ID == m.MessageThreadID && m.ReplyToMessage.ForumTopicCreated != nil
}

func convertEdit(updateID int64, m *models.Message, me account) (message.Inbound, bool) {
	in, ok := convertMessage(m, me)
	if !ok {
		return in, false
	}
	in.Kind, in.TargetID, in.Revision = message.KindEdit, in.ID, m.EditDate
	// Two edits within a second have the same date, but not the same update.
	in.ID = fmt.Sprintf("%s:%d", in.ID, updateID)
	in.Timestamp = unix(m.EditDate)
	return in, true
}

// convertReaction turns the lists of before and after into what was added and
// what was taken off.
func convertReaction(updateID int64, r *models.MessageReactionUpdated) []message.Inbound {
	before, after := emojis(r.OldReaction), emojis(r.NewReaction)
	var events []message.Inbound
	add := func(emoji string, removed bool) {
		in := message.Inbound{
			ID:   fmt.Sprintf("%s:%d:%d", messageID(r.Chat.ID, r.MessageID), updateID, len(events)),
			Kind: message.KindReaction, Timestamp: unix(r.Date),
			Chat:     chat(r.Chat, 0),
			Content:  message.Content{Type: message.TypeReaction, Reaction: &message.Reaction{Emoji: emoji, Removed: removed}},
			TargetID: messageID(r.Chat.ID, r.MessageID),
		}
		switch {
		case r.User != nil:
			in.Sender = user(r.User)
		case r.ActorChat != nil:
			in.Sender = chatAsSender(r.ActorChat)
		}
		events = append(events, in)
	}
	for _, e := range before {
		if !contains(after, e) {
			add(e, true)
		}
	}
	for _, e := range after {
		if !contains(before, e) {
			add(e, false)
		}
	}
	return events
}

func emojis(list []models.ReactionType) []string {
	var out []string
	for _, r := range list {
		switch {
		case r.ReactionTypeEmoji != nil:
			out = append(out, r.ReactionTypeEmoji.Emoji)
		case r.ReactionTypeCustomEmoji != nil:
			out = append(out, customEmojiPrefix+r.ReactionTypeCustomEmoji.CustomEmojiID)
		case r.ReactionTypePaid != nil:
			out = append(out, "⭐")
		}
	}
	return out
}

// customEmojiPrefix marks an emoji that only Telegram knows.
const customEmojiPrefix = "custom:"

func contains(list []string, s string) bool {
	return slices.Contains(list, s)
}

func chatOf(m *models.Message) message.Chat {
	topic := 0
	if m.IsTopicMessage {
		topic = m.MessageThreadID // elsewhere the thread only groups replies
	}
	return chat(m.Chat, topic)
}

func chat(c models.Chat, topic int) message.Chat {
	out := message.Chat{ID: chatRef{c.ID, topic}.String(), Type: message.ChatGroup, Name: clean(c.Title)}
	if c.Type == models.ChatTypePrivate {
		out.Type, out.Name = message.ChatDM, fullName(c.FirstName, c.LastName)
	}
	return out
}

func senderOf(m *models.Message) message.Sender {
	switch {
	case m.SenderChat != nil: // an anonymous administrator, or a channel
		return chatAsSender(m.SenderChat)
	case m.From != nil:
		return user(m.From)
	default:
		return chatAsSender(&m.Chat)
	}
}

func user(u *models.User) message.Sender {
	return message.Sender{ID: fmt.Sprint(u.ID), Name: fullName(u.FirstName, u.LastName), Username: clean(u.Username), IsBot: u.IsBot}
}

func chatAsSender(c *models.Chat) message.Sender {
	name := c.Title
	if name == "" {
		name = fullName(c.FirstName, c.LastName)
	}
	return message.Sender{ID: fmt.Sprint(c.ID), Name: clean(name), Username: clean(c.Username)}
}

func fullName(first, last string) string { return strings.TrimSpace(clean(first + " " + last)) }

// clean removes what no store takes.
func clean(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "")
}

func unix(seconds int) time.Time { return time.Unix(int64(seconds), 0).UTC() }
