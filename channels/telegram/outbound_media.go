package telegram

import (
	"context"
	"html"
	"strings"

	"github.com/go-telegram/bot"
	"github.com/go-telegram/bot/models"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/message"
)

// mediaCall sends one attachment, or several as an album. The text is the
// caption. Telegram fetches URLs itself.
func (s *session) mediaCall(to chatRef, c message.Content, reply *models.ReplyParameters, markup models.ReplyMarkup, mode models.ParseMode) (sendCall, error) {
	for _, m := range c.Media {
		if source(m) == "" {
			return nil, refuse(channels.ErrRejected, "an attachment has neither a URL nor a Telegram file id")
		}
	}
	if len(c.Media) > 1 && markup != nil {
		return nil, refuse(channels.ErrRejected, "Telegram shows no buttons under several attachments")
	}
	if len(c.Media) > 1 {
		return s.albumCall(to, c, reply, mode)
	}
	b, m := s.api.bot, c.Media[0]
	file := &models.InputFileString{Data: source(m)}
	switch {
	case m.Type == message.TypeImage:
		p := &bot.SendPhotoParams{ChatID: to.chat, MessageThreadID: to.topic, Photo: file, Caption: c.Text, ParseMode: mode, ReplyParameters: reply, ReplyMarkup: markup}
		return func(ctx context.Context) (*models.Message, error) { return b.SendPhoto(ctx, p) }, nil
	case m.Type == message.TypeAudio && isVoice(m):
		p := &bot.SendVoiceParams{ChatID: to.chat, MessageThreadID: to.topic, Voice: file, Caption: c.Text, ParseMode: mode, ReplyParameters: reply, ReplyMarkup: markup}
		return func(ctx context.Context) (*models.Message, error) { return b.SendVoice(ctx, p) }, nil
	case m.Type == message.TypeAudio:
		p := &bot.SendAudioParams{ChatID: to.chat, MessageThreadID: to.topic, Audio: file, Caption: c.Text, ParseMode: mode, ReplyParameters: reply, ReplyMarkup: markup}
		return func(ctx context.Context) (*models.Message, error) { return b.SendAudio(ctx, p) }, nil
	case m.Type == message.TypeVideo:
		p := &bot.SendVideoParams{ChatID: to.chat, MessageThreadID: to.topic, Video: file, Caption: c.Text, ParseMode: mode, ReplyParameters: reply, ReplyMarkup: markup}
		return func(ctx context.Context) (*models.Message, error) { return b.SendVideo(ctx, p) }, nil
	case m.Type == message.TypeSticker:
		p := &bot.SendStickerParams{ChatID: to.chat, MessageThreadID: to.topic, Sticker: file, ReplyParameters: reply, ReplyMarkup: markup}
		return func(ctx context.Context) (*models.Message, error) { return b.SendSticker(ctx, p) }, nil
	default:
		p := &bot.SendDocumentParams{ChatID: to.chat, MessageThreadID: to.topic, Document: file, Caption: c.Text, ParseMode: mode, ReplyParameters: reply, ReplyMarkup: markup}
		return func(ctx context.Context) (*models.Message, error) { return b.SendDocument(ctx, p) }, nil
	}
}

// albumCall sends up to ten attachments as one bubble, known by its first.
func (s *session) albumCall(to chatRef, c message.Content, reply *models.ReplyParameters, mode models.ParseMode) (sendCall, error) {
	if len(c.Media) > 10 {
		return nil, refuse(channels.ErrTooLarge, "Telegram shows at most ten attachments in one message")
	}
	p := &bot.SendMediaGroupParams{ChatID: to.chat, MessageThreadID: to.topic, ReplyParameters: reply}
	caption := c.Text // shown under the album when the first item has it
	for _, m := range c.Media {
		switch m.Type {
		case message.TypeImage:
			p.Media = append(p.Media, &models.InputMediaPhoto{Media: source(m), Caption: caption, ParseMode: mode})
		case message.TypeVideo:
			p.Media = append(p.Media, &models.InputMediaVideo{Media: source(m), Caption: caption, ParseMode: mode})
		case message.TypeAudio:
			p.Media = append(p.Media, &models.InputMediaAudio{Media: source(m), Caption: caption, ParseMode: mode})
		default:
			p.Media = append(p.Media, &models.InputMediaDocument{Media: source(m), Caption: caption, ParseMode: mode})
		}
		caption = ""
	}
	b := s.api.bot
	return func(ctx context.Context) (*models.Message, error) {
		album, err := b.SendMediaGroup(ctx, p)
		if err != nil || len(album) == 0 {
			return nil, err
		}
		return album[0], nil
	}, nil
}

// source is what Telegram is given: its own handle, or a URL.
func source(m message.Media) string {
	if m.Ref != "" {
		return m.Ref
	}
	return m.URL
}

// asLinks says where the attachments of a content are, for people to open
// themselves.
func asLinks(c message.Content) message.Content {
	lines := make([]string, 0, len(c.Media)+1)
	if c.Text != "" {
		lines = append(lines, c.Text)
	}
	for _, m := range c.Media {
		if m.URL != "" {
			lines = append(lines, html.EscapeString(m.URL))
		}
	}
	return message.Content{Type: message.TypeText, Text: strings.Join(lines, "\n"), Buttons: c.Buttons}
}

// isVoice tells voice notes (Opus in Ogg) from music.
func isVoice(m message.Media) bool {
	mime := strings.ToLower(m.MimeType)
	return strings.HasPrefix(mime, "audio/ogg") || strings.HasPrefix(mime, "audio/opus")
}
