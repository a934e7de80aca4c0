package omni

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels/message"
)

func TestAdmit(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	text := func(change func(*message.Inbound)) *Envelope {
		e := &Envelope{ReceivedAt: now, Event: message.Inbound{ID: "m", Kind: message.KindMessage, Timestamp: now,
			Chat: message.Chat{ID: "c", Type: message.ChatDM}, Content: message.Content{Type: message.TypeText, Text: "hi"}}}
		if change != nil {
			change(&e.Event)
		}
		return e
	}
	answering := func(change func(*InstanceSettings)) InstanceSettings {
		s := DefaultSettings()
		agent := DefaultAgent()
		s.Agent = &agent
		if change != nil {
			change(&s)
		}
		return s
	}
	allowed := &AccessDecision{Mode: "disabled", Decision: "allow", Reason: "access control is disabled"}
	none := Admission{}
	begun := Admission{Begins: true, Status: StatusReceived, Access: allowed}
	for name, c := range map[string]struct {
		settings InstanceSettings
		event    *Envelope
		want     Admission
	}{
		"a message for the agent": {answering(nil), text(nil), begun},
		"rules are to be asked": {answering(func(s *InstanceSettings) { s.Access.Mode = "allowlist" }), text(nil),
			Admission{Begins: true, Status: StatusReceived}},
		"nobody answers": {DefaultSettings(), text(nil),
			Admission{Status: StatusIgnored, Reason: string(RefusedNoAgent), Access: allowed}},
		"nobody answers, but rules are to be asked": {func() InstanceSettings {
			s := DefaultSettings()
			s.Access.Mode = "blocklist"
			return s
		}(), text(nil), Admission{Begins: true, Status: StatusReceived}},
		"nobody answers, but something is attached": {DefaultSettings(), text(func(in *message.Inbound) {
			in.Content.Media = []message.Media{{Type: message.TypeAudio}}
		}), begun},
		"a group, not for us: the workflow says so": {answering(nil), text(func(in *message.Inbound) { in.Chat.Type = message.ChatGroup }), begun},
		"old history": {answering(nil), text(func(in *message.Inbound) { in.Backfill, in.Timestamp = true, now.Add(-48*time.Hour) }),
			Admission{Status: StatusIgnored, Reason: string(RefusedTooOld), Access: allowed}},
		"young history":                     {answering(nil), text(func(in *message.Inbound) { in.Backfill, in.Timestamp = true, now.Add(-time.Hour) }), begun},
		"an old message that was under way": {answering(nil), text(func(in *message.Inbound) { in.Timestamp = now.Add(-48 * time.Hour) }), begun},
		"the account's own":                 {answering(nil), text(func(in *message.Inbound) { in.IsFromMe = true }), none},
		"an edit":                           {answering(nil), text(func(in *message.Inbound) { in.Kind = message.KindEdit }), none},
		"typing":                            {answering(nil), text(func(in *message.Inbound) { in.Kind = message.KindTyping }), none},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, Admit(c.settings, c.event))
		})
	}
}
