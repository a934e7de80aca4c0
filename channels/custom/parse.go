package custom

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/message"
)

// The limits of an event. The whole stays below NATS's usual 1 MiB together
// with the raw payload beside it.
const (
	maxBody        = 2 << 20
	maxEvent       = 768 << 10
	maxText        = 256 << 10
	maxID          = 512
	maxName        = 1024
	maxURL         = 8 << 10
	maxAttachments = 32
	maxListed      = 256
)

// oldest is the first plausible time of a message: before, a clock was wrong.
var oldest = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// botMention is the name under which a program mentions the bot itself.
const botMention = "bot"

// wireEvent is the body of a webhook. Unknown fields are ignored, so that a
// newer program can talk to an older hub.
type wireEvent struct {
	ID         string          `json:"id"`
	Kind       message.Kind    `json:"kind"`
	Revision   int             `json:"revision"`
	Timestamp  *string         `json:"timestamp"`
	IsFromMe   bool            `json:"isFromMe"`
	Chat       message.Chat    `json:"chat"`
	Sender     message.Sender  `json:"sender"`
	Content    message.Content `json:"content"`
	TargetID   string          `json:"targetId"`
	ReplyTo    string          `json:"replyTo"`
	Mentions   []string        `json:"mentions"`
	MentionsMe bool            `json:"mentionsMe"`
	ReplyToMe  bool            `json:"replyToMe"`
	Backfill   bool            `json:"backfill"`
	Key        string          `json:"idempotencyKey"` // with isFromMe: of our send that this is the echo of
}

func invalid(field, format string, args ...any) error {
	return &channels.WebhookError{Status: http.StatusBadRequest, Code: "invalid_field", Field: field,
		Detail: field + " " + fmt.Sprintf(format, args...)}
}

func tooLarge(field, format string, args ...any) error {
	return &channels.WebhookError{Status: http.StatusRequestEntityTooLarge, Code: "too_large", Field: field,
		Detail: field + " " + fmt.Sprintf(format, args...)}
}

// parse reads and normalises a verified body. checkURL says why a media URL
// can never be fetched. Errors are *channels.WebhookError.
func parse(body []byte, now time.Time, checkURL func(string) error) (message.Inbound, error) {
	var in message.Inbound
	if len(body) > maxBody {
		return in, tooLarge("body", "has more than %d bytes", maxBody)
	}
	var w wireEvent
	if err := json.Unmarshal(body, &w); err != nil {
		return in, malformed(err)
	}
	if err := w.checkIDs(); err != nil {
		return in, err
	}
	if err := w.checkKind(); err != nil {
		return in, err
	}
	at, err := w.time(now)
	if err != nil {
		return in, err
	}
	if err := normaliseContent(&w.Content, w.Kind, checkURL); err != nil {
		return in, err
	}
	if w.Content.Reaction == nil && w.Kind == message.KindReaction {
		return in, invalid("content.reaction", "is required for a reaction")
	}
	in = w.inbound(at)
	encoded, err := json.Marshal(in)
	if err != nil {
		return in, fmt.Errorf("encoding event: %w", err)
	}
	if len(encoded) > maxEvent {
		return in, tooLarge("body", "is an event of more than %d bytes", maxEvent)
	}
	return in, nil
}

func malformed(err error) error {
	var wrongType *json.UnmarshalTypeError
	if errors.As(err, &wrongType) && wrongType.Field != "" {
		return invalid(wrongType.Field, "must not be a JSON %s", wrongType.Value)
	}
	detail := "the body is not a JSON object"
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		detail = fmt.Sprintf("the body is not JSON: %s at byte %d", syntax.Error(), syntax.Offset)
	}
	return &channels.WebhookError{Status: http.StatusBadRequest, Code: "malformed_body", Field: "body", Detail: detail}
}

func (w *wireEvent) checkIDs() error {
	type id struct {
		field, value string
		required     bool
	}
	isMessage := w.Kind == message.KindMessage
	for _, id := range []id{
		{"id", w.ID, true},
		{"kind", string(w.Kind), true},
		{"chat.id", w.Chat.ID, true},
		{"sender.id", w.Sender.ID, isMessage},
		{"targetId", w.TargetID, needsTarget(w.Kind)},
		{"replyTo", w.ReplyTo, false},
		{"idempotencyKey", w.Key, false},
	} {
		if err := checkID(id.field, id.value, id.required); err != nil {
			return err
		}
	}
	if w.Revision < 0 {
		return invalid("revision", "must not be negative")
	}
	return nil
}

// checkID refuses what cannot be kept as it is: cleaning an id would make two
// different things one.
func checkID(field, v string, required bool) error {
	switch {
	case strings.TrimSpace(v) == "" && (required || v != ""):
		return invalid(field, "is required")
	case len(v) > maxID:
		return invalid(field, "has more than %d bytes", maxID)
	case strings.ContainsFunc(v, func(r rune) bool { return r < 0x20 || r == 0x7f || r == '\uFFFD' }):
		return invalid(field, "has control characters or broken UTF-8")
	}
	return nil
}

func needsTarget(k message.Kind) bool {
	switch k {
	case message.KindEdit, message.KindDelete, message.KindReaction, message.KindRead, message.KindDelivered:
		return true
	default:
		return false
	}
}

func (w *wireEvent) checkKind() error {
	known := false
	for _, k := range message.Kinds() {
		known = known || w.Kind == k
	}
	if !known {
		return invalid("kind", "must be one of message, edit, delete, reaction, typing, read, delivered")
	}
	switch w.Chat.Type {
	case "":
		w.Chat.Type = message.ChatDM
	case message.ChatDM, message.ChatGroup:
	default:
		return invalid("chat.type", "must be dm or group")
	}
	if len(w.Mentions) > maxListed {
		return invalid("mentions", "has more than %d entries", maxListed)
	}
	return nil
}

// time is when the event happened. A date that no message can have (before
// 2000, or ahead of us) is a wrong clock: the time of arrival replaces it.
func (w *wireEvent) time(now time.Time) (time.Time, error) {
	if w.Timestamp == nil {
		return now.UTC(), nil
	}
	at, err := time.Parse(time.RFC3339, *w.Timestamp)
	if err != nil {
		return at, invalid("timestamp", "must be an RFC 3339 time such as 2026-01-31T12:00:00Z")
	}
	if at.Before(oldest) || at.After(now.Add(tolerance)) {
		at = now
	}
	return at.UTC(), nil
}

func (w *wireEvent) inbound(at time.Time) message.Inbound {
	in := message.Inbound{
		ID: w.ID, Kind: w.Kind, Revision: w.Revision, Timestamp: at, IsFromMe: w.IsFromMe,
		Chat: message.Chat{ID: w.Chat.ID, Type: w.Chat.Type, Name: cleanName(w.Chat.Name)},
		Sender: message.Sender{ID: w.Sender.ID, Name: cleanName(w.Sender.Name), Username: cleanName(w.Sender.Username),
			Phone: cleanName(w.Sender.Phone), Email: cleanName(w.Sender.Email), IsBot: w.Sender.IsBot},
		Content: w.Content, TargetID: w.TargetID, ReplyTo: w.ReplyTo,
		MentionsMe: w.MentionsMe, ReplyToMe: w.ReplyToMe, Backfill: w.Backfill, ClientID: w.Key,
	}
	for _, m := range w.Mentions {
		m = cleanName(m)
		if m == "" {
			continue
		}
		in.Mentions = append(in.Mentions, m)
		in.MentionsMe = in.MentionsMe || strings.EqualFold(strings.TrimPrefix(m, "@"), botMention)
	}
	return in
}
