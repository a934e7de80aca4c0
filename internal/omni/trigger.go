package omni

import (
	"slices"
	"strings"
	"time"

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
	RefusedNotOurs    Refusal = "not a reaction to a message of ours"
	RefusedNotMessage Refusal = "not a message"
	RefusedReset      Refusal = "begins the conversation anew"
)

// LooksAtTarget reports whether the refusal could be another one if the message
// that is answered, or reacted to, were ours.
func (r Refusal) LooksAtTarget() bool { return r == RefusedNotForUs || r == RefusedNotOurs }

// Refuse decides whether a recorded message is for us: a direct message, a
// mention, a reply to us, our name, a reaction we react to on something of
// ours. Other bots are no exception: that they do not answer each other for ever
// is seen to where turns begin.
func Refuse(s InstanceSettings, m *InboundMessage, now time.Time) Refusal {
	switch {
	case !s.MayAnswer():
		return RefusedNoAgent
	case m.FromMe:
		return RefusedOwn
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
		switch {
		case !ReactsTo(s.Messaging.Triggers, m.Facts.Emoji):
			return RefusedReaction
		case !m.Facts.ReplyToMe:
			return RefusedNotOurs
		}
		return NotRefused
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
	return named(t.Names, m.Text, m.Facts.Mentions)
}

// ReactsTo reports whether a reaction with the emoji is answered.
func ReactsTo(t TriggerConfig, emoji string) bool {
	return slices.ContainsFunc(t.Reactions, func(s string) bool { return sameEmoji(s, emoji) })
}

// resets reports whether a person's message is just the reset emoji, or a
// reaction with it.
func resets(emoji string, m *InboundMessage) bool {
	switch {
	case m.Facts.IsBot:
		return false
	case m.Kind == message.KindMessage:
		return sameEmoji(emoji, strings.TrimSpace(m.Text)) && len(m.Content.Media) == 0
	case m.Kind == message.KindReaction:
		return sameEmoji(emoji, m.Facts.Emoji)
	default:
		return false
	}
}
