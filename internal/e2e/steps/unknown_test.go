package steps

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels/telegram/telegramtest"
	"github.com/omnihub/omni/internal/omni"
)

var ana = telegramtest.User{ID: 4242, FirstName: "Ana", Username: "ana"}

// Telegram takes no client id. Killed while a part was on its way, nobody can
// know whether it arrived: it is sent again only where the instance says so.
func TestKillBeforeTheReceiptWhereNothingIsIdempotent(t *testing.T) {
	t.Parallel()
	c := newChild(t)
	cases := []struct {
		name, policy, when string
		sent               []string // what the person saw
		parts              []string // the statuses
		message            string
	}{
		{"hold", "hold", after, []string{"one"}, []string{"unknown", "cancelled"}, "failed"},
		{"hold, not even sent", "hold", before, nil, []string{"unknown", "cancelled"}, "failed"},
		{"skip", "skip", after, []string{"one", "two"}, []string{"unknown", "sent"}, ""},
		{"resend", "resend", after, []string{"one", "one", "two"}, []string{"sent", "sent"}, "answered"},
	}
	bots := make([]*telegramtest.Server, len(cases))
	ids := make([]uuid.UUID, len(cases))
	c.start(t, orders{})
	for i, k := range cases {
		var err error
		bots[i], err = telegramtest.NewAt("127.0.0.1:0", fmt.Sprintf("%d:AAFakeFakeFakeFakeFakeFakeFakeFake1", 1000+i))
		require.NoError(t, err)
		t.Cleanup(bots[i].Close)
		ids[i] = c.instance(t, object{"name": k.name, "channel": "telegram", "agent": object{"provider": "echo"},
			"channelConfig": object{"botToken": bots[i].Token(), "apiBaseUrl": bots[i].URL()},
			"messaging":     object{"unknownPolicy": k.policy}})
	}
	c.stop()
	for i, k := range cases {
		chat := fmt.Sprint(ana.ID)
		// Only this bot's deliveries count: the others' chats have the same platform id.
		c.start(t, orders{Faults: []fault{{moment: moment{When: k.when, Point: "Send", Platform: chat, Instance: ids[i]}, Nth: 1}}})
		bots[i].Say(ana, "one\n\ntwo")
		c.dies(t, 20*time.Second)
	}
	c.start(t, orders{})
	for i, k := range cases {
		t.Run(k.name, func(t *testing.T) {
			chat := omni.ChatID(ids[i], fmt.Sprint(ana.ID))
			require.Eventually(t, func() bool { return fmt.Sprint(c.parts(t, chat)) == fmt.Sprint(k.parts) }, answeredWithin, 50*time.Millisecond,
				"the parts become %q, are %q", k.parts, c.parts(t, chat))
			require.Eventually(t, func() bool { return !c.inProgress(t, chat) }, answeredWithin, 50*time.Millisecond)
			var texts []string
			for _, m := range bots[i].Sent(ana.ID) {
				texts = append(texts, m.Text)
			}
			require.Equal(t, k.sent, texts)
			require.Empty(t, bots[i].Violations())
			var status string
			require.NoError(t, c.db.QueryRow(t.Context(), `SELECT status FROM messages WHERE chat_id = $1 AND direction = 'inbound'`, chat).Scan(&status))
			t.Log("message", status)
			if k.message != "" {
				require.Equal(t, k.message, status)
			}
		})
	}
}

// parts are the statuses of a chat's parts in order.
func (s *site) parts(t *testing.T, chat uuid.UUID) (statuses []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	require.NoError(t, s.db.QueryRow(ctx, `SELECT coalesce(array_agg(status ORDER BY part_index), '{}') FROM messages
		WHERE chat_id = $1 AND direction = 'outbound'`, chat).Scan(&statuses))
	return statuses
}

// inProgress reports whether a message of the chat has no outcome yet.
func (s *site) inProgress(t *testing.T, chat uuid.UUID) (yes bool) {
	t.Helper()
	require.NoError(t, s.db.QueryRow(t.Context(), `SELECT exists(SELECT FROM messages WHERE chat_id = $1 AND direction = 'inbound'
		AND status IN ('received', 'processing'))`, chat).Scan(&yes))
	return yes
}
