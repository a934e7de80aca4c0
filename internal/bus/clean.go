package bus

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
)

// The sizes at which an inbound event is cut (texts) or refused (ids), in bytes.
const (
	MaxTextBytes = 128 << 10 // a message's text or caption
	MaxRawBytes  = 64 << 10  // the platform's own payload
	MaxIDBytes   = 512       // a platform's id: cutting one would make another

	maxNameBytes = 1 << 10
	maxURLBytes  = 8 << 10
	maxListItems = 128
)

// The times that are believed.
const maxClockSkew = 5 * time.Minute

var earliest = time.Date(2000, time.January, 1, 0, 0, 0, 0, time.UTC)

// FieldError refuses an inbound event that cannot be cleaned.
type FieldError struct {
	Field  string // as in the event's JSON: "chat.id"
	Reason string
}

func (e *FieldError) Error() string { return e.Field + " " + e.Reason }

// Clean makes an inbound event safe to store and to show: NUL and broken UTF-8
// become U+FFFD, texts and lists are cut at their limits, numbers are finite
// and times believable (else the time of receipt). What is missing, or cannot
// be cut without becoming something else, is a *FieldError. Cleaning twice
// changes nothing.
func Clean(e *omni.Envelope) error {
	in := &e.Event
	if e.ReceivedAt.Before(earliest) {
		e.ReceivedAt = time.Now()
	}
	e.ReceivedAt = e.ReceivedAt.UTC()
	in.Timestamp = believable(in.Timestamp, e.ReceivedAt)
	if len(e.Raw) > MaxRawBytes {
		e.Raw = e.Raw[:MaxRawBytes]
	}
	e.Channel, e.Traceparent = cut(e.Channel, MaxIDBytes), cut(e.Traceparent, MaxIDBytes)
	if err := cleanIDs(in); err != nil {
		return err
	}
	for _, s := range []*string{&in.Chat.Name, &in.Sender.Name, &in.Sender.Username, &in.Sender.Phone, &in.Sender.Email} {
		*s = cut(*s, maxNameBytes)
	}
	if len(in.Mentions) > maxListItems {
		in.Mentions = in.Mentions[:maxListItems]
	}
	for i := range in.Mentions {
		in.Mentions[i] = cut(in.Mentions[i], MaxIDBytes)
	}
	cleanContent(&in.Content)
	return nil
}

func cleanIDs(in *message.Inbound) error {
	if !knownKind(in.Kind) {
		return &FieldError{Field: "kind", Reason: fmt.Sprintf("%q is unknown", cut(string(in.Kind), 64))}
	}
	for _, f := range []struct {
		field    string
		value    *string
		required bool
	}{
		{"id", &in.ID, true},
		{"chat.id", &in.Chat.ID, true},
		{"sender.id", &in.Sender.ID, in.Kind == message.KindMessage && !in.IsFromMe},
		{"targetId", &in.TargetID, needsTarget(in.Kind)},
		{"replyTo", &in.ReplyTo, false},
	} {
		*f.value = printable(*f.value)
		if *f.value == "" && f.required {
			return &FieldError{Field: f.field, Reason: "is required"}
		}
		if len(*f.value) > MaxIDBytes {
			return &FieldError{Field: f.field, Reason: fmt.Sprintf("is longer than %d bytes", MaxIDBytes)}
		}
	}
	if in.Chat.Type != message.ChatGroup {
		in.Chat.Type = message.ChatDM
	}
	return nil
}

func needsTarget(k message.Kind) bool {
	return k == message.KindEdit || k == message.KindDelete || k == message.KindReaction
}

func knownKind(k message.Kind) bool {
	return slices.Contains(message.Kinds(), k)
}

func cleanContent(c *message.Content) {
	c.Type = message.ContentType(cut(string(c.Type), 64))
	c.Text = cut(c.Text, MaxTextBytes)
	if len(c.Media) > maxListItems {
		c.Media = c.Media[:maxListItems]
	}
	for i := range c.Media {
		m := &c.Media[i]
		m.ID, m.Transcript, m.Description, m.ExtractedText = "", "", "", "" // the hub's words, not a platform's
		m.Type = message.ContentType(cut(string(m.Type), 64))
		m.URL, m.Ref = cut(m.URL, maxURLBytes), cut(m.Ref, maxURLBytes)
		m.MimeType, m.Filename = cut(m.MimeType, maxNameBytes), cut(m.Filename, maxNameBytes)
		m.Size = max(m.Size, 0)
	}
	if len(c.Buttons) > maxListItems {
		c.Buttons = c.Buttons[:maxListItems]
	}
	for i := range c.Buttons {
		c.Buttons[i].ID, c.Buttons[i].Text = cut(c.Buttons[i].ID, MaxIDBytes), cut(c.Buttons[i].Text, maxNameBytes)
	}
	if c.Reaction != nil {
		c.Reaction.Emoji = cut(c.Reaction.Emoji, MaxIDBytes)
	}
	if l := c.Location; l != nil {
		l.Latitude, l.Longitude, l.Name = finite(l.Latitude), finite(l.Longitude), cut(l.Name, maxNameBytes)
	}
	if c.Contact != nil {
		c.Contact.Name, c.Contact.Phone = cut(c.Contact.Name, maxNameBytes), cut(c.Contact.Phone, maxNameBytes)
	}
	if p := c.Poll; p != nil {
		p.Question = cut(p.Question, maxURLBytes)
		if len(p.Options) > maxListItems {
			p.Options = p.Options[:maxListItems]
		}
		for i := range p.Options {
			p.Options[i] = cut(p.Options[i], maxNameBytes)
		}
	}
}

// printable replaces what Postgres and JSON cannot hold.
func printable(s string) string {
	if utf8.ValidString(s) && !strings.Contains(s, "\x00") {
		return s
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// cut is printable, and no longer than limit bytes, whole characters only.
func cut(s string, limit int) string {
	s = printable(s)
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}

func finite(f float64) float64 {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return 0
	}
	return f
}

func believable(t, received time.Time) time.Time {
	if t.Before(earliest) || t.After(received.Add(maxClockSkew)) {
		return received
	}
	return t.UTC()
}
