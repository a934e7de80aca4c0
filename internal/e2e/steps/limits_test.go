package steps

import (
	"fmt"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/activities"
	"github.com/omnihub/omni/channels/custom/customtest"
	"github.com/omnihub/omni/channels/telegram/telegramtest"
	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/workflows"
)

// tries are the times at which a chat's bubble was handed to the program.
func (l *line) tries(chat string) (at []time.Time) {
	for _, c := range l.out.Calls() {
		if c.Message.Chat.ID == chat && c.Message.Kind == "message" {
			at = append(at, c.At)
		}
	}
	return at
}

// A 429 of one chat, or of the account: who it is about waits as told, the
// others are answered meanwhile, and Temporal's UI says who waits and why.
func TestA429HoldsUpWhatItIsAbout(t *testing.T) {
	t.Parallel()
	w := newWatched(t, slog.LevelInfo)
	const told = 4 * time.Second
	for scope, others := range map[string]bool{"chat": false, "account": true} {
		for _, quick := range []bool{false, true} {
			t.Run(fmt.Sprint(scope, " quick ", quick), func(t *testing.T) {
				t.Parallel()
				l := w.newLine(t, object{"agent": object{"provider": "echo", "quick": "always"}})
				if quick {
					l.warm(t, "warm")
				}
				l.out.Fault(customtest.Fault{Status: http.StatusTooManyRequests, RetryAfter: "4", Body: `{"scope":"` + scope + `"}`})
				limited := l.say(t, "m1", "a", "one")
				require.Eventually(t, func() bool { return len(l.tries("a")) == 1 }, 10*time.Second, 5*time.Millisecond)
				began := l.tries("a")[0]
				require.Eventually(t, func() bool { return w.deliveryWaits(t, limited) != "" }, told, 20*time.Millisecond, "the UI says why")
				whose := map[bool]string{false: "this chat waits", true: "all chats of this account wait"}[others]
				require.Contains(t, w.deliveryWaits(t, limited), whose)
				l.say(t, "m2", "b", "two")
				if !others {
					l.hears(t, time.Until(began.Add(told)), "b", "two")
					require.Empty(t, l.out.Texts("a"))
				}
				l.hears(t, 20*time.Second, "a", "one")
				l.hears(t, 20*time.Second, "b", "two")
				at := l.tries("a")
				require.Len(t, at, 2, "asked once more, when it was time")
				require.GreaterOrEqual(t, at[1].Sub(at[0]), told-50*time.Millisecond)
				if others {
					require.GreaterOrEqual(t, l.tries("b")[0].Sub(began), told-200*time.Millisecond)
				}
				w.finished(t, workflows.MessageWorkflowID(limited))
				require.Equal(t, 1, w.events(t, limited)["message.sent"])
				if quick {
					w.record(t, workflows.TypeMessage, "quick-delivery-limited", workflows.MessageWorkflowID(limited))
				}
			})
		}
	}
}

// deliveryWaits says why the delivery of a message waits: on the timer of its workflow
// or on the pending step; "" if it does not.
func (s *site) deliveryWaits(t *testing.T, message uuid.UUID) string {
	t.Helper()
	d, err := s.temporal.DescribeWorkflowExecution(t.Context(), workflows.MessageWorkflowID(message), "")
	if err != nil {
		return ""
	}
	for _, a := range d.GetPendingActivities() {
		if a.GetActivityType().GetName() == activities.DeliverSend && a.GetLastFailure().GetApplicationFailureInfo().GetType() == activities.ErrTypeDeliverLimited {
			return a.GetLastFailure().GetMessage()
		}
	}
	for _, e := range s.history(t, workflows.MessageWorkflowID(message)) {
		if e.GetTimerStartedEventAttributes() != nil {
			return string(e.GetUserMetadata().GetSummary().GetData())
		}
	}
	return ""
}

// The hub is killed while a reply waits as it was told: it goes out once, and
// not before its time.
func TestKillDuringAPlatformsWait(t *testing.T) {
	t.Parallel()
	for name, settings := range map[string]object{
		"quick":   {"agent": object{"provider": "echo", "quick": "always"}},
		"regular": {"agent": object{"provider": "echo", "quick": "never"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newChild(t)
			c.start(t, orders{})
			l := c.newLine(t, settings)
			if name == "quick" {
				l.warm(t, "warm")
			}
			c.stop()
			message := l.message("m1")
			// After the receipt that says when: before anybody else knows of it.
			c.start(t, orders{Faults: []fault{{moment: moment{When: after, Point: "ReceiptPart", Chat: l.chat("c1")}, Nth: 1}}})
			l.out.Fault(customtest.Fault{Status: http.StatusTooManyRequests, RetryAfter: "9"})
			l.say(t, "m1", "c1", "one\n\ntwo")
			c.dies(t, 20*time.Second)
			c.start(t, orders{})
			l.hears(t, 9*time.Second+answeredWithin, "c1", "one", "two")
			at := l.tries("c1")
			require.Len(t, at, 3)
			require.GreaterOrEqual(t, at[1].Sub(at[0]), 8900*time.Millisecond, "the restart is no way around it")
			c.finished(t, workflows.MessageWorkflowID(message))
			require.Equal(t, 2, c.events(t, message)["message.sent"])
		})
	}
}

// Killed in the pause between two parts, with somebody seeming to type.
func TestKillInTheHumanDelay(t *testing.T) {
	t.Parallel()
	c := newChild(t)
	c.start(t, orders{})
	l := c.newLine(t, object{"messaging": object{"splitDelayMs": 1500, "splitDelayMode": "proportional"}})
	c.stop()
	// The second indicator, between the second part and the third.
	c.start(t, orders{Faults: []fault{{moment: moment{When: after, Point: "Send", Platform: "c1"}, Nth: 4}}})
	message := l.say(t, "m1", "c1", "part one\n\npart two\n\npart three")
	c.dies(t, 20*time.Second)
	require.Equal(t, []string{"part one", "part two"}, l.out.Texts("c1"))
	c.start(t, orders{})
	l.hears(t, answeredWithin, "c1", "part one", "part two", "part three")
	c.finished(t, workflows.MessageWorkflowID(message))
	require.Equal(t, 3, c.events(t, message)["message.sent"])
	for i, call := range l.out.Calls() {
		last := i == len(l.out.Calls())-1
		require.Equal(t, last, call.Message.Content.Text == "part three", "nothing is shown after the last part")
	}
}

// A reply that its platform keeps waiting for longer than it is wanted.
func TestAWaitOutlivesTheReply(t *testing.T) {
	t.Parallel()
	w := newWatched(t, slog.LevelInfo)
	l := w.newLine(t, object{"messaging": object{"replyTtlSeconds": 2}})
	l.out.Fault(customtest.Fault{Status: http.StatusTooManyRequests, RetryAfter: "3600"})
	message := l.say(t, "m1", "c1", "one")
	w.finished(t, workflows.MessageWorkflowID(message))
	require.Equal(t, []string{"expired"}, w.parts(t, l.chat("c1")))
	require.Equal(t, "failed", w.status(t, message))
	events := w.events(t, message)
	require.Equal(t, 1, events["message.expired"])
	require.Equal(t, 1, events["turn.failed"])
	var got struct{ StatusReason, Error string }
	w.call(t, http.MethodGet, "/api/v1/messages/"+omni.PartID(w.turnOf(t, message).id, 0).String(), nil, &got)
	require.Contains(t, got.Error, "not begun within 2 s (messaging.replyTtlSeconds)")
	w.record(t, workflows.TypeMessage, "expired", workflows.MessageWorkflowID(message))
}

// newBot is a telegram instance with its server.
func (s *site) newBot(t *testing.T, n int, messaging object) (*telegramtest.Server, uuid.UUID) {
	t.Helper()
	bot, err := telegramtest.NewAt("127.0.0.1:0", fmt.Sprintf("%d:AAFakeFakeFakeFakeFakeFakeFakeFake1", 2000+n))
	require.NoError(t, err)
	t.Cleanup(bot.Close)
	return bot, s.instance(t, object{"name": t.Name(), "channel": "telegram", "agent": object{"provider": "echo"},
		"channelConfig": object{"botToken": bot.Token(), "apiBaseUrl": bot.URL()}, "messaging": messaging})
}

func texts(bot *telegramtest.Server, chat int64) []string {
	var out []string
	for _, m := range bot.Sent(chat) {
		out = append(out, m.Text)
	}
	return out
}

// The answer to a send is lost, so nobody knows. Each policy decides; with
// hold, a person does.
func TestUnknownOnTelegram(t *testing.T) {
	t.Parallel()
	w := newWatched(t, slog.LevelInfo)
	lost := telegramtest.Fault{Accept: true, Drop: true}
	for n, tt := range []struct {
		policy, says string
		shown        []string // at first, and in the end
		settled      []string
		parts        []string
		message      string
	}{
		{"skip", "", []string{"one", "two", "three"}, nil, []string{"unknown", "sent", "sent"}, "answered"},
		{"resend", "", []string{"one", "one", "two", "three"}, nil, []string{"sent", "sent", "sent"}, "answered"},
		{"hold", "", []string{"one"}, nil, []string{"unknown", "cancelled", "cancelled"}, "failed"},
		{"hold", "sent", []string{"one"}, []string{"one", "two", "three"}, []string{"sent", "sent", "sent"}, "answered"},
		{"hold", "resend", []string{"one"}, []string{"one", "one", "two", "three"}, []string{"sent", "sent", "sent"}, "answered"},
		{"hold", "failed", []string{"one"}, []string{"one"}, []string{"failed", "cancelled", "cancelled"}, "failed"},
	} {
		t.Run(tt.policy+" "+tt.says, func(t *testing.T) {
			t.Parallel()
			bot, id := w.newBot(t, n, object{"unknownPolicy": tt.policy})
			chat := omni.ChatID(id, fmt.Sprint(ana.ID))
			bot.Fault("sendMessage", lost)
			bot.Say(ana, "one\n\ntwo\n\nthree")
			inbound := func() (id uuid.UUID, status string) {
				_ = w.db.QueryRow(t.Context(), `SELECT id, status FROM messages WHERE chat_id = $1 AND direction = 'inbound'`, chat).Scan(&id, &status)
				return id, status
			}
			settled := func() bool {
				_, status := inbound()
				return status == "answered" || status == "failed"
			}
			require.Eventually(t, settled, 30*time.Second, 20*time.Millisecond)
			require.Equal(t, tt.shown, texts(bot, ana.ID))
			message, _ := inbound()
			if tt.says != "" {
				require.Equal(t, []string{"unknown", "cancelled", "cancelled"}, w.parts(t, chat))
				turn := w.turnOf(t, message).id
				var got struct{ Status string }
				w.call(t, http.MethodPost, "/api/v1/messages/"+omni.PartID(turn, 0).String()+"/resolve-delivery", object{"outcome": tt.says}, &got)
				require.Eventually(t, settled, 30*time.Second, 20*time.Millisecond)
				require.Equal(t, tt.settled, texts(bot, ana.ID))
				if tt.says != "failed" {
					w.finished(t, activities.TurnWorkflowID(turn, 2))
				}
			}
			require.Equal(t, tt.parts, w.parts(t, chat))
			_, status := inbound()
			require.Equal(t, tt.message, status)
			require.Empty(t, bot.Violations())
		})
	}
}

// Telegram's own rates are kept without its having to refuse anything: one
// bubble a second in a chat, and nobody else waits.
func TestTelegramsRatesAreKept(t *testing.T) {
	t.Parallel()
	w := newWatched(t, slog.LevelInfo)
	bot, _ := w.newBot(t, 90, nil)
	luis := telegramtest.User{ID: 4343, FirstName: "Luis"}
	bot.Say(ana, "one\n\ntwo\n\nthree")
	require.Eventually(t, func() bool { return len(texts(bot, ana.ID)) == 1 }, 20*time.Second, 10*time.Millisecond)
	bot.Say(luis, "hello")
	require.Eventually(t, func() bool { return len(texts(bot, ana.ID)) == 3 }, 20*time.Second, 10*time.Millisecond)
	require.Equal(t, []string{"one", "two", "three"}, texts(bot, ana.ID))
	var at []time.Time
	var other time.Time
	for _, c := range bot.Calls("sendMessage") {
		if c.Params["chat_id"] == fmt.Sprint(ana.ID) {
			at = append(at, c.At)
		} else {
			other = c.At
		}
	}
	require.Len(t, at, 3)
	for i := range 2 {
		require.GreaterOrEqual(t, at[i+1].Sub(at[i]), 900*time.Millisecond)
	}
	require.True(t, other.Before(at[2]), "the other chat did not wait for this one")
}
