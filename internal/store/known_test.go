package store_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
)

// What is known of an account and of a chat stays where a later message does
// not say it; what it says anew counts.
func TestWhatIsKnownStays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	say := func(id, sender, name, username, chatName string) {
		t.Helper()
		e := w.inbound("c1", sender, id, "hello")
		e.Event.Sender.Name, e.Event.Sender.Username = name, username
		e.Event.Chat = message.Chat{ID: "c1", Type: message.ChatDM, Name: chatName}
		// Long ago: or little is written of what comes now.
		_, err := w.Pool().Exec(t.Context(), `UPDATE identities SET last_seen_at = now() - interval '1 hour'`)
		require.NoError(t, err)
		w.record(e)
	}
	known := func() (name, username, chatName string) {
		t.Helper()
		require.NoError(t, w.Pool().QueryRow(t.Context(), `SELECT i.name, i.username, c.name FROM identities i, chats c WHERE i.id = $1`,
			omni.IdentityID(w.instance, "u1")).Scan(&name, &username, &chatName))
		return name, username, chatName
	}
	say("m1", "u1", "Ana", "ana77", "Ana's")
	say("m2", "u1", "", "", "")
	name, username, chat := known()
	require.Equal(t, []string{"Ana", "ana77", "Ana's"}, []string{name, username, chat})
	say("m3", "u1", "Ana María", "", "")
	name, username, chat = known()
	require.Equal(t, []string{"Ana María", "ana77", "Ana's"}, []string{name, username, chat})

	// A program may let somebody else write in a chat of two: it stays the first one's.
	say("m4", "u2", "Bo", "", "Ana and Bo")
	var with bool
	require.NoError(t, w.Pool().QueryRow(t.Context(), `SELECT c.identity_id = i.id AND c.person_id = i.person_id FROM chats c, identities i
		WHERE i.id = $1`, omni.IdentityID(w.instance, "u1")).Scan(&with))
	require.True(t, with)
}
