package omni

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels/message"
)

func TestRefuse(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	group := func(f MessageFacts) MessageFacts { f.ChatType = message.ChatGroup; return f }
	dm := MessageFacts{ChatType: message.ChatDM}
	for name, tc := range map[string]struct {
		change func(*InstanceSettings)
		m      InboundMessage
		want   Refusal
	}{
		"dm":                    {m: InboundMessage{Facts: dm}},
		"dm switched off":       {change: func(s *InstanceSettings) { s.Messaging.Triggers.DM = false }, m: InboundMessage{Facts: dm}, want: RefusedNotForUs},
		"dm off, but mentioned": {change: func(s *InstanceSettings) { s.Messaging.Triggers.DM = false }, m: InboundMessage{Facts: MessageFacts{MentionsMe: true}}},
		"chat type unknown":     {m: InboundMessage{}},
		"no agent":              {change: func(s *InstanceSettings) { s.Agent = nil }, m: InboundMessage{Facts: dm}, want: RefusedNoAgent},
		"own message":           {m: InboundMessage{Facts: dm, FromMe: true}, want: RefusedOwn},
		"another bot":           {m: InboundMessage{Facts: MessageFacts{ChatType: message.ChatDM, IsBot: true}}},
		"another bot, in group": {m: InboundMessage{Facts: group(MessageFacts{IsBot: true}), Text: "beep"}, want: RefusedNotForUs},
		"another bot mentions":  {m: InboundMessage{Facts: group(MessageFacts{IsBot: true, MentionsMe: true})}},
		"group is quiet":        {m: InboundMessage{Facts: group(MessageFacts{}), Text: "hi all"}, want: RefusedNotForUs},
		"group mention":         {m: InboundMessage{Facts: group(MessageFacts{MentionsMe: true})}},
		"group mention off":     {change: func(s *InstanceSettings) { s.Messaging.Triggers.Mention = false }, m: InboundMessage{Facts: group(MessageFacts{MentionsMe: true})}, want: RefusedNotForUs},
		"group reply":           {m: InboundMessage{Facts: group(MessageFacts{ReplyToMe: true})}},
		"group reply off":       {change: func(s *InstanceSettings) { s.Messaging.Triggers.Reply = false }, m: InboundMessage{Facts: group(MessageFacts{ReplyToMe: true})}, want: RefusedNotForUs},
		"name":                  {change: names("Omni"), m: InboundMessage{Facts: group(MessageFacts{}), Text: "hey OMNI, are you there?"}},
		"name at the ends":      {change: names("omni"), m: InboundMessage{Facts: group(MessageFacts{}), Text: "omni"}},
		"name inside a word":    {change: names("omni"), m: InboundMessage{Facts: group(MessageFacts{}), Text: "an omnibus and insomnia"}, want: RefusedNotForUs},
		"name of two words":     {change: names("dr bot"), m: InboundMessage{Facts: group(MessageFacts{}), Text: "Dr Bot?"}},
		"name not latin":        {change: names("Омни"), m: InboundMessage{Facts: group(MessageFacts{}), Text: "привет, омни!"}},
		"name as a mention":     {change: names("@omni"), m: InboundMessage{Facts: group(MessageFacts{Mentions: []string{"@Omni"}})}},
		"blank name":            {change: names(" "), m: InboundMessage{Facts: group(MessageFacts{}), Text: "a b"}, want: RefusedNotForUs},
		"young backfill":        {m: InboundMessage{Facts: MessageFacts{Backfill: true}, SentAt: now.Add(-23 * time.Hour)}},
		"old backfill":          {m: InboundMessage{Facts: MessageFacts{Backfill: true}, SentAt: now.Add(-25 * time.Hour)}, want: RefusedTooOld},
		"old, but live":         {m: InboundMessage{Facts: dm, SentAt: now.Add(-25 * time.Hour)}},
		"catch-up switched off": {change: func(s *InstanceSettings) { s.Messaging.CatchUpSeconds = 0 }, m: InboundMessage{Facts: MessageFacts{Backfill: true}, SentAt: now.Add(-time.Second)}, want: RefusedTooOld},
		"reaction":              {m: InboundMessage{Kind: message.KindReaction, Facts: MessageFacts{Emoji: "👍"}}, want: RefusedReaction},
		"reaction we react to":  {change: reactions("❤"), m: InboundMessage{Kind: message.KindReaction, Facts: MessageFacts{Emoji: "❤️", ReplyToMe: true}}},
		"reaction in a group":   {change: reactions("❤"), m: InboundMessage{Kind: message.KindReaction, Facts: group(MessageFacts{Emoji: "❤️", ReplyToMe: true})}},
		"on another's message":  {change: reactions("❤"), m: InboundMessage{Kind: message.KindReaction, Facts: MessageFacts{Emoji: "❤️"}}, want: RefusedNotOurs},
		"reaction taken off":    {change: reactions(""), m: InboundMessage{Kind: message.KindReaction}, want: RefusedReaction},
		"reaction, other emoji": {change: reactions("❤"), m: InboundMessage{Kind: message.KindReaction, Facts: MessageFacts{Emoji: "👍"}}, want: RefusedReaction},
		"reset":                 {change: resetBy("🔄"), m: InboundMessage{Facts: dm, Text: " 🔄\n"}, want: RefusedReset},
		"reset, not coloured":   {change: resetBy("♻️"), m: InboundMessage{Facts: dm, Text: "♻"}, want: RefusedReset},
		"reset in a group":      {change: resetBy("🔄"), m: InboundMessage{Facts: group(MessageFacts{}), Text: "🔄"}, want: RefusedReset},
		"reset by reaction":     {change: resetBy("🔄"), m: InboundMessage{Kind: message.KindReaction, Facts: MessageFacts{Emoji: "🔄"}}, want: RefusedReset},
		"reset and more":        {change: resetBy("🔄"), m: InboundMessage{Facts: dm, Text: "🔄 please"}},
		"reset under a picture": {change: resetBy("🔄"), m: InboundMessage{Facts: dm, Text: "🔄", Content: message.Content{Media: []message.Media{{}}}}},
		"reset not configured":  {m: InboundMessage{Facts: dm, Text: "🔄"}},
		"reset by a bot":        {change: resetBy("🔄"), m: InboundMessage{Facts: MessageFacts{IsBot: true}, Text: "🔄"}},
		"neither one nor other": {m: InboundMessage{Kind: message.KindTyping}, want: RefusedNotMessage},
		"stub of an edit":       {m: InboundMessage{Kind: message.KindEdit}, want: RefusedNotMessage},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := DefaultSettings()
			agent := DefaultAgent()
			s.Agent = &agent
			if tc.change != nil {
				tc.change(&s)
			}
			if tc.m.Kind == "" {
				tc.m.Kind = message.KindMessage
			}
			require.Equal(t, tc.want, Refuse(s, &tc.m, now))
		})
	}
}

func resetBy(emoji string) func(*InstanceSettings) {
	return func(s *InstanceSettings) { s.Messaging.ResetEmoji = emoji }
}

func names(n ...string) func(*InstanceSettings) {
	return func(s *InstanceSettings) { s.Messaging.Triggers.Names = n }
}

func reactions(r ...string) func(*InstanceSettings) {
	return func(s *InstanceSettings) { s.Messaging.Triggers.Reactions = r }
}

func TestFactsOfAReactionTakenOff(t *testing.T) {
	t.Parallel()
	in := message.Inbound{Content: message.Content{Reaction: &message.Reaction{Emoji: "👍", Removed: true}}}
	require.Empty(t, FactsOf(&in).Emoji)
	in.Content.Reaction.Removed = false
	require.Equal(t, "👍", FactsOf(&in).Emoji)
	require.Equal(t, message.ChatDM, FactsOf(&in).ChatType)
}
