package steps

import (
	"fmt"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/workflows"
)

const refusal = "Not today."

// guarded is a line whose rules deny some, with a notice, and count others.
func (s *site) guarded(t *testing.T) (l *line, denies, counts uuid.UUID) {
	t.Helper()
	l = s.newLine(t, object{"agent": object{"provider": "echo", "quick": "always"}, "access": object{"mode": "blocklist"}})
	var deny, count struct{ ID uuid.UUID }
	s.call(t, http.MethodPost, "/api/v1/access/rules", object{"instanceId": l.id, "type": "deny", "notice": refusal,
		"match": object{"platformUserId": "u-denied*"}}, &deny)
	s.call(t, http.MethodPost, "/api/v1/access/rules", object{"instanceId": l.id, "type": "allow",
		"match": object{"platformUserId": "u-counted*"}, "rateLimit": object{"count": 10, "perSeconds": 10_000_000}}, &count)
	return l, deny.ID, count.ID
}

// deniedOnce checks that a message was decided once, and its sender told once.
func (l *line) deniedOnce(t *testing.T, s *site, id, chat string) {
	t.Helper()
	message := l.message(id)
	l.hears(t, answeredWithin, chat, refusal)
	s.finished(t, workflows.MessageWorkflowID(message))
	require.Equal(t, "denied", s.status(t, message), id)
	require.Eventually(t, func() bool { return s.events(t, message)["message.sent"] == 1 }, answeredWithin, 50*time.Millisecond, id)
	events := s.events(t, message)
	delete(events, "message.sending") // when it was stored, and each time that it was handed over
	require.Equal(t, map[string]int{"message.received": 1, "identity.created": 1, "identity.resolved": 1, "access.checked": 1,
		"message.sent": 1}, events, id)
	var said int
	require.NoError(t, s.db.QueryRow(t.Context(), `SELECT count(*) FROM messages WHERE chat_id = $1 AND direction = 'outbound'`,
		l.chat(chat)).Scan(&said))
	require.Equal(t, 1, said, id)
	require.Equal(t, []string{refusal}, l.out.Texts(chat), id)
	keys := map[string]bool{}
	for _, c := range l.out.Calls() {
		if c.Message.Chat.ID == chat {
			keys[c.Message.Key] = true
		}
	}
	require.Len(t, keys, 1, "%s: repeated at most under the same key", id)
}

// tokens is what an account has left of a rule, filling aside.
func (s *site) tokens(t *testing.T, l *line, rule uuid.UUID, user string) (n float64) {
	t.Helper()
	require.NoError(t, s.db.QueryRow(t.Context(), `SELECT tokens FROM access_buckets WHERE rule_id = $1 AND identity_id = $2`, rule,
		omni.IdentityID(l.id, user)).Scan(&n))
	return n
}

// The hub is killed around the decision and around the notice: one decision,
// one notice, one token.
func TestKillAroundADecision(t *testing.T) {
	t.Parallel()
	c := newChild(t)
	c.start(t, orders{})
	l, _, counts := c.guarded(t)
	c.stop()
	type death struct{ id, chat string }
	var denied, counted []death
	die := func(id, chat string, m moment) {
		m.Chat, m.Message, m.Platform = l.chat(chat), l.message(id), chat
		c.start(t, orders{Faults: []fault{{moment: m, Nth: 1}}})
		// Killed, the hub may or may not have acknowledged.
		_, err := l.SendText(t.Context(), id, chat, "u-"+chat, "text of "+id)
		c.dies(t, 20*time.Second)
		if err != nil { // the platform brings it again
			c.start(t, orders{})
			l.say(t, id, chat, "text of "+id)
			c.stop()
		}
	}
	for i, m := range []moment{{When: before, Point: "CheckMessage"}, {When: after, Point: "CheckMessage"}, {When: before, Point: "Send"},
		{When: after, Point: "Send"}} {
		d := death{fmt.Sprint("d", i), fmt.Sprint("denied", i)}
		denied = append(denied, d)
		die(d.id, d.chat, m)
		t.Logf("killed %s %s", m.When, m.Point)
		if m.Point == "CheckMessage" {
			n := death{fmt.Sprint("n", i), fmt.Sprint("counted", i)}
			counted = append(counted, n)
			die(n.id, n.chat, m)
		}
	}
	c.start(t, orders{})
	for _, d := range denied {
		l.deniedOnce(t, c.site, d.id, d.chat)
	}
	for _, n := range counted {
		l.hears(t, answeredWithin, n.chat, "text of "+n.id)
		require.InDelta(t, 9, c.tokens(t, l, counts, "u-"+n.chat), 0.01, n.id)
		require.Equal(t, 1, c.events(t, l.message(n.id))["access.checked"])
	}
}

// A signal during the step makes the engine run it again.
func TestADecisionRunTwice(t *testing.T) {
	t.Parallel()
	w := newWatched(t, slog.LevelInfo)
	l, _, counts := w.guarded(t)
	for _, chat := range []string{"denied", "counted"} {
		id := "m-" + chat
		gate := w.gates.at(moment{When: after, Point: "CheckMessage", Message: l.message(id)})
		l.say(t, id, chat, "hello")
		gate.wait(t)
		workflow := workflows.MessageWorkflowID(l.message(id))
		require.NoError(t, w.temporal.SignalWorkflow(t.Context(), workflow, "", "wake", nil))
		gate.release()
		if chat == "counted" {
			l.hears(t, answeredWithin, chat, "hello")
			w.finished(t, workflow)
			require.InDelta(t, 9, w.tokens(t, l, counts, "u-counted"), 0.01)
			require.Equal(t, 1, w.events(t, l.message(id))["access.checked"])
			continue
		}
		l.deniedOnce(t, w.site, id, chat)
		w.record(t, workflows.TypeMessage, "denied", workflow)
	}
}
