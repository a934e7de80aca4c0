package omni

import (
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/omnihub/omni/channels/message"
)

// Refusal is why a message is recorded but not answered; NotRefused if it is.
type Refusal string

// The refusals.
const (
	NotRefused        Refusal = ""
	RefusedNoAgent    Refusal = "no agent is configured"
	RefusedOwn        Refusal = "written by the account itself"
	RefusedBot        Refusal = "written by a bot"
	RefusedTooOld     Refusal = "older than catchUpSeconds"
	RefusedNotForUs   Refusal = "no trigger matches"
	RefusedReaction   Refusal = "this reaction triggers nothing"
	RefusedNotMessage Refusal = "not a message"
	RefusedReset      Refusal = "begins the conversation anew"
)

// Refuse decides whether a recorded message is for us: a direct message, a
// mention, a reply to us, our name, a reaction we react to.
func Refuse(s InstanceSettings, m *InboundMessage, now time.Time) Refusal {
	switch {
	case s.Agent == nil:
		return RefusedNoAgent
	case m.FromMe:
		return RefusedOwn
	case m.Facts.IsBot: // two bots that answer each other never stop
		return RefusedBot
	case m.Facts.Backfill && m.SentAt.Add(time.Duration(s.Messaging.CatchUpSeconds)*time.Second).Before(now):
		return RefusedTooOld
	case resets(s.Messaging.ResetEmoji, m):
		return RefusedReset
	}
	switch m.Kind {
	case message.KindMessage:
		if triggered(s.Messaging.Triggers, m) {
			return NotRefused
		}
		return RefusedNotForUs
	case message.KindReaction:
		if reactsTo(s.Messaging.Triggers, m.Facts.Emoji) {
			return NotRefused
		}
		return RefusedReaction
	default:
		return RefusedNotMessage
	}
}

func triggered(t TriggerConfig, m *InboundMessage) bool {
	switch {
	case t.DM && m.Facts.ChatType != message.ChatGroup,
		t.Mention && m.Facts.MentionsMe,
		t.Reply && m.Facts.ReplyToMe:
		return true
	}
	text := strings.ToLower(m.Text)
	for _, name := range t.Names {
		name = strings.ToLower(strings.TrimPrefix(strings.TrimSpace(name), "@"))
		if name != "" && (containsWord(text, name) || mentions(m.Facts.Mentions, name)) {
			return true
		}
	}
	return false
}

// mentions reports whether a platform's mentions hold the name.
func mentions(list []string, name string) bool {
	return slices.ContainsFunc(list, func(s string) bool { return strings.EqualFold(strings.TrimPrefix(s, "@"), name) })
}

func reactsTo(t TriggerConfig, emoji string) bool {
	return slices.ContainsFunc(t.Reactions, func(s string) bool { return sameEmoji(s, emoji) })
}

// sameEmoji compares emoji without the selector that asks for the coloured
// form: some platforms send it, some do not.
func sameEmoji(a, b string) bool {
	const variation = "\uFE0F"
	a, b = strings.ReplaceAll(a, variation, ""), strings.ReplaceAll(b, variation, "")
	return a != "" && a == b
}

// resets reports whether a message is just the reset emoji, or a reaction with it.
func resets(emoji string, m *InboundMessage) bool {
	switch m.Kind {
	case message.KindMessage:
		return sameEmoji(emoji, strings.TrimSpace(m.Text)) && len(m.Content.Media) == 0
	case message.KindReaction:
		return sameEmoji(emoji, m.Facts.Emoji)
	default:
		return false
	}
}

// containsWord reports whether text holds word not as a part of a longer one.
func containsWord(text, word string) bool {
	for from := 0; ; {
		i := strings.Index(text[from:], word)
		if i < 0 {
			return false
		}
		start, end := from+i, from+i+len(word)
		if !wordEndsAt(text[:start]) && !wordStartsAt(text[end:]) {
			return true
		}
		from = start + 1
	}
}

func wordEndsAt(s string) bool {
	r, n := utf8.DecodeLastRuneInString(s)
	return n > 0 && (unicode.IsLetter(r) || unicode.IsDigit(r))
}

func wordStartsAt(s string) bool {
	r, n := utf8.DecodeRuneInString(s)
	return n > 0 && (unicode.IsLetter(r) || unicode.IsDigit(r))
}
