package telegram

import (
	"context"
	"errors"
	"fmt"
	"html"
	"regexp"
	"slices"
	"strings"

	"github.com/go-telegram/bot"
	"github.com/go-telegram/bot/models"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/message"
)

// attempt makes one call. It returns the library's error, to be looked into,
// and the typed one, to be returned.
func (s *session) attempt(ctx context.Context, call func(ctx context.Context) error) (raw, typed error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	got := &answer{}
	ctx, wire := channels.WatchWire(context.WithValue(ctx, answerKey{}, got))
	raw = call(ctx)
	return raw, s.api.classify(raw, wire, got)
}

// Send sends one bubble. Where Telegram certainly refused it, three things are
// put right in the same call: markup that it cannot parse goes out as plain
// text, an attachment that it cannot fetch or show as a link, and a group that
// became a supergroup is written to under its new id.
func (s *session) Send(ctx context.Context, out message.Outbound) (message.Receipt, error) {
	to, err := s.prepare(out)
	if err != nil {
		return message.Receipt{}, err
	}
	sent, raw, typed := s.send(ctx, to, out, models.ParseModeHTML)
	if migrated, ok := errors.AsType[*bot.MigrateError](raw); ok {
		to = chatRef{chat: int64(migrated.MigrateToChatID)}
		sent, raw, typed = s.send(ctx, to, out, models.ParseModeHTML)
	}
	if raw != nil && isUnfetchable(raw) && len(out.Content.Media) > 0 {
		s.deps.Log.Info("telegram: sending a link, for Telegram cannot show what is behind it", "error", s.api.reason(raw))
		out.Content = asLinks(out.Content)
		sent, raw, typed = s.send(ctx, to, out, models.ParseModeHTML)
	}
	if raw != nil && isBadMarkup(raw) {
		out.Content.Text = plain(out.Content.Text)
		sent, _, typed = s.send(ctx, to, out, "")
	}
	if typed != nil {
		return message.Receipt{}, typed
	}
	return message.Receipt{ExternalID: messageID(sent.Chat.ID, sent.ID), At: unix(sent.Date)}, nil
}

func (s *session) prepare(out message.Outbound) (chatRef, error) {
	if err := s.connected(); err != nil {
		return chatRef{}, err
	}
	if !slices.Contains(sendable, out.Content.Type) {
		return chatRef{}, refuse(channels.ErrUnsupported, fmt.Sprintf("Telegram takes no content of type %q", out.Content.Type))
	}
	to, err := parseChat(out.Chat.ID)
	if err != nil {
		return chatRef{}, refuse(channels.ErrNotFound, err.Error())
	}
	return to, nil
}

func refuse(kind channels.ErrorKind, reason string) *channels.SendError {
	return &channels.SendError{Kind: kind, Certain: true, Reason: reason}
}

func (s *session) send(ctx context.Context, to chatRef, out message.Outbound, mode models.ParseMode) (sent *models.Message, raw, typed error) {
	call, err := s.callFor(to, out, mode)
	if err != nil {
		return nil, nil, err
	}
	raw, typed = s.attempt(ctx, func(ctx context.Context) error {
		sent, err = call(ctx)
		if err == nil && sent == nil {
			err = errors.New("the answer names no message")
		}
		return err
	})
	return sent, raw, typed
}

type sendCall func(ctx context.Context) (*models.Message, error)

// callFor chooses the method for a content.
func (s *session) callFor(to chatRef, out message.Outbound, mode models.ParseMode) (sendCall, error) {
	c, reply, b := out.Content, replyTo(out, to), s.api.bot
	markup, err := keyboard(c.Buttons)
	if err != nil {
		return nil, err
	}
	if len(c.Media) > 0 {
		return s.mediaCall(to, c, reply, markup, mode)
	}
	switch {
	case c.Type == message.TypeLocation && c.Location != nil:
		return s.locationCall(to, c, reply), nil
	case c.Type == message.TypeContact && c.Contact != nil:
		p := &bot.SendContactParams{ChatID: to.chat, MessageThreadID: to.topic, PhoneNumber: c.Contact.Phone,
			FirstName: c.Contact.Name, ReplyParameters: reply}
		return func(ctx context.Context) (*models.Message, error) { return b.SendContact(ctx, p) }, nil
	case c.Type == message.TypePoll && c.Poll != nil:
		p := &bot.SendPollParams{ChatID: to.chat, MessageThreadID: to.topic, Question: c.Poll.Question,
			AllowsMultipleAnswers: c.Poll.Multiple, ReplyParameters: reply}
		for _, o := range c.Poll.Options {
			p.Options = append(p.Options, models.InputPollOption{Text: o})
		}
		return func(ctx context.Context) (*models.Message, error) { return b.SendPoll(ctx, p) }, nil
	case c.Type == message.TypeText || c.Type == message.TypeButtons:
		if strings.TrimSpace(c.Text) == "" && len(c.Buttons) > 0 {
			c.Text = html.EscapeString(labels(c.Buttons))
		}
		if strings.TrimSpace(c.Text) == "" {
			return nil, refuse(channels.ErrRejected, "the text is empty")
		}
		p := &bot.SendMessageParams{ChatID: to.chat, MessageThreadID: to.topic, Text: c.Text, ParseMode: mode, ReplyParameters: reply, ReplyMarkup: markup}
		return func(ctx context.Context) (*models.Message, error) { return b.SendMessage(ctx, p) }, nil
	default:
		return nil, refuse(channels.ErrRejected, fmt.Sprintf("the content of type %q is empty", c.Type))
	}
}

func (s *session) locationCall(to chatRef, c message.Content, reply *models.ReplyParameters) sendCall {
	b := s.api.bot
	if c.Location.Name == "" {
		p := &bot.SendLocationParams{ChatID: to.chat, MessageThreadID: to.topic, Latitude: c.Location.Latitude,
			Longitude: c.Location.Longitude, ReplyParameters: reply}
		return func(ctx context.Context) (*models.Message, error) { return b.SendLocation(ctx, p) }
	}
	address := c.Text
	if address == "" {
		address = c.Location.Name // Telegram wants both
	}
	p := &bot.SendVenueParams{ChatID: to.chat, MessageThreadID: to.topic, Latitude: c.Location.Latitude,
		Longitude: c.Location.Longitude, Title: c.Location.Name, Address: address, ReplyParameters: reply}
	return func(ctx context.Context) (*models.Message, error) { return b.SendVenue(ctx, p) }
}

// replyTo quotes a message. A quote that cannot be made does not hold the
// answer back.
func replyTo(out message.Outbound, to chatRef) *models.ReplyParameters {
	if out.ReplyTo == "" {
		return nil
	}
	chat, msg, err := parseMessageID(out.ReplyTo)
	if err != nil || chat != to.chat {
		return nil
	}
	return &models.ReplyParameters{MessageID: msg, AllowSendingWithoutReply: true}
}

var tag = regexp.MustCompile(`</?[a-zA-Z][^<>]*>`)

// plain is what is left of HTML without its markup.
func plain(s string) string { return html.UnescapeString(tag.ReplaceAllString(s, "")) }
