package omni

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels/message"
)

// Of reactions only those begin a workflow that may be for us; what they are
// on, nobody knows yet.
func TestAdmitReactions(t *testing.T) {
	t.Parallel()
	s := DefaultSettings()
	agent := DefaultAgent()
	s.Agent = &agent
	s.Messaging.Triggers.Reactions, s.Messaging.ResetEmoji = []string{"👍"}, "🧹"
	for name, tc := range map[string]struct {
		reaction message.Reaction
		begins   bool
		reason   Refusal
	}{
		"that triggers":          {message.Reaction{Emoji: "👍"}, true, NotRefused},
		"that resets":            {message.Reaction{Emoji: "🧹"}, true, NotRefused},
		"another":                {message.Reaction{Emoji: "👎"}, false, RefusedReaction},
		"that triggers, removed": {message.Reaction{Emoji: "👍", Removed: true}, false, RefusedReaction},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := &Envelope{Event: message.Inbound{Kind: message.KindReaction, ID: "r", TargetID: "x",
				Content: message.Content{Type: message.TypeReaction, Reaction: &tc.reaction}}}
			a := Admit(s, e)
			require.Equal(t, tc.begins, a.Begins)
			require.Equal(t, string(tc.reason), a.Reason)
			want := StatusIgnored
			if tc.begins {
				want = StatusReceived
			}
			require.Equal(t, want, a.Status)
			require.Equal(t, "x", NewInboundMessage(e).TargetExternalID)
		})
	}
}
