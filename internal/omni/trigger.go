package omni

import (
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
	RefusedTooOld     Refusal = "older than catchUpSeconds"
	RefusedNotForUs   Refusal = "no trigger matches"
	RefusedReaction   Refusal = "this reaction triggers nothing"
	RefusedNotMessage Refusal = "not a message"
)

// Refuse decides whether a recorded message is for us: a direct message, a
// mention, a reply to us, our name, a reaction we react to.
func Refuse(s InstanceSettings, m *InboundMessage, now time.Time) Refusal {
	switch {
	case s.Agent == nil:
		return RefusedNoAgent
	case m.FromMe:
		return RefusedOwn
	case m.Facts.Backfill && m.SentAt.Add(time.Duration(s.Messaging.CatchUpSeconds)*time.Second).Before(now):
		return RefusedTooOld
	}
	switch m.Kind {
	case message.KindMessage:
		if triggered(s.Messaging.Triggers, m) {
			return NotRefused
		}
		return RefusedNotForUs
	case message.KindReaction:
		for _, emoji := range s.Messaging.Triggers.Reactions {
			if emoji == m.Facts.Emoji {
				return NotRefused
			}
		}
		return RefusedReaction
	default:
		return RefusedNotMessage
	}
}

func triggered(t TriggerConfig, m *InboundMessage) bool {
	if m.Facts.ChatType != message.ChatGroup {
		return t.DM
	}
	if t.Mention && m.Facts.MentionsMe || t.Reply && m.Facts.ReplyToMe {
		return true
	}
	for _, name := range t.Names {
		if name != "" && containsWord(strings.ToLower(m.Text), strings.ToLower(name)) {
			return true
		}
	}
	return false
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
