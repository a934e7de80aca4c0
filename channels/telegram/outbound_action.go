package telegram

import (
	"context"
	"strings"
	"time"

	"github.com/go-telegram/bot"
	"github.com/go-telegram/bot/models"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/message"
)

// target resolves the message that an edit, delete or reaction acts on.
func (s *session) target(out message.Outbound) (chat int64, msg int, err error) {
	if err := s.connected(); err != nil {
		return 0, 0, err
	}
	if chat, msg, err = parseMessageID(out.TargetID); err != nil {
		return 0, 0, refuse(channels.ErrRejected, err.Error())
	}
	return chat, msg, nil
}

// Edit replaces the text, or the caption, of a message of ours.
func (s *session) Edit(ctx context.Context, out message.Outbound) (message.Receipt, error) {
	chat, msg, err := s.target(out)
	if err != nil {
		return message.Receipt{}, err
	}
	markup, err := keyboard(out.Content.Buttons) // an edit without takes them away
	if err != nil {
		return message.Receipt{}, err
	}
	p := &bot.EditMessageTextParams{ChatID: chat, MessageID: msg, Text: out.Content.Text, ParseMode: models.ParseModeHTML, ReplyMarkup: markup}
	raw, typed := s.editText(ctx, p)
	if raw != nil && isBadMarkup(raw) {
		p.ParseMode, p.Text = "", plain(p.Text)
		raw, typed = s.editText(ctx, p)
	}
	if raw != nil && isCaption(raw) {
		raw, typed = s.attempt(ctx, func(ctx context.Context) error {
			_, err := s.api.bot.EditMessageCaption(ctx, &bot.EditMessageCaptionParams{ChatID: chat, MessageID: msg, Caption: p.Text,
				ParseMode: p.ParseMode, ReplyMarkup: markup})
			return err
		})
	}
	// It reads as wanted already: a repeated edit has been made.
	if typed != nil && !isNotModified(raw) {
		return message.Receipt{}, typed
	}
	return message.Receipt{ExternalID: out.TargetID, At: time.Now().UTC()}, nil
}

func (s *session) editText(ctx context.Context, p *bot.EditMessageTextParams) (raw, typed error) {
	return s.attempt(ctx, func(ctx context.Context) error {
		_, err := s.api.bot.EditMessageText(ctx, p)
		return err
	})
}

// Delete removes a message. One that is gone already is deleted.
func (s *session) Delete(ctx context.Context, out message.Outbound) error {
	chat, msg, err := s.target(out)
	if err != nil {
		return err
	}
	raw, typed := s.attempt(ctx, func(ctx context.Context) error {
		_, err := s.api.bot.DeleteMessage(ctx, &bot.DeleteMessageParams{ChatID: chat, MessageID: msg})
		return err
	})
	if raw != nil && isGone(raw) {
		return nil
	}
	return typed
}

// React puts the bot's one reaction on a message, or takes it off.
func (s *session) React(ctx context.Context, out message.Outbound) error {
	chat, msg, err := s.target(out)
	if err != nil {
		return err
	}
	p := &bot.SetMessageReactionParams{ChatID: chat, MessageID: msg}
	r := out.Content.Reaction
	if r == nil {
		return refuse(channels.ErrRejected, "content.reaction is missing")
	}
	if !r.Removed && r.Emoji != "" {
		p.Reaction = []models.ReactionType{reactionType(r.Emoji)}
	}
	_, typed := s.attempt(ctx, func(ctx context.Context) error {
		_, err := s.api.bot.SetMessageReaction(ctx, p)
		return err
	})
	return typed
}

func reactionType(emoji string) models.ReactionType {
	if id, ok := strings.CutPrefix(emoji, customEmojiPrefix); ok {
		return models.ReactionType{Type: models.ReactionTypeTypeCustomEmoji,
			ReactionTypeCustomEmoji: &models.ReactionTypeCustomEmoji{CustomEmojiID: id}}
	}
	// Telegram's list has its emoji without the variation selector that keyboards add.
	emoji = strings.ReplaceAll(emoji, "\uFE0F", "")
	return models.ReactionType{Type: models.ReactionTypeTypeEmoji, ReactionTypeEmoji: &models.ReactionTypeEmoji{Emoji: emoji}}
}

// Typing shows the indicator for about five seconds.
func (s *session) Typing(ctx context.Context, chat message.Chat) error {
	if err := s.connected(); err != nil {
		return err
	}
	to, err := parseChat(chat.ID)
	if err != nil {
		return refuse(channels.ErrNotFound, err.Error())
	}
	_, typed := s.attempt(ctx, func(ctx context.Context) error {
		_, err := s.api.bot.SendChatAction(ctx, &bot.SendChatActionParams{ChatID: to.chat, MessageThreadID: to.topic, Action: models.ChatActionTyping})
		return err
	})
	return typed
}
