package steps

import (
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels/telegram/telegramtest"
	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/workflows"
)

// bot is an instance of the telegram channel with a Telegram of its own.
type bot struct {
	*telegramtest.Server
	site *site
	id   uuid.UUID
}

// bots counts them: each has a token of its own.
var bots atomic.Int64

func (s *site) newTelegram(t *testing.T, settings object) *bot {
	t.Helper()
	srv, err := telegramtest.NewAt("127.0.0.1:0", fmt.Sprintf("%d:AAFakeFakeFakeFakeFakeFakeFakeFake1", 3000+bots.Add(1)))
	require.NoError(t, err)
	t.Cleanup(srv.Close)
	body := object{"name": t.Name(), "channel": "telegram", "channelConfig": object{"botToken": srv.Token(), "apiBaseUrl": srv.URL()}}
	maps.Copy(body, settings)
	return &bot{Server: srv, site: s, id: s.instance(t, body)}
}

// asks lets a person write, and returns the message's id.
func (b *bot) asks(person int64, text string) uuid.UUID {
	_, msg := b.Say(telegramtest.User{ID: person, FirstName: "Ana"}, text)
	return omni.TargetMessageID(b.id, fmt.Sprintf("%d:%d", person, msg))
}

func (b *bot) reads(person int64) []string {
	texts := []string{}
	for _, m := range b.Sent(person) {
		texts = append(texts, m.Text)
	}
	return texts
}

// answered waits for the outcome of a message that may not be recorded yet.
func (b *bot) answered(t *testing.T, m uuid.UUID, within time.Duration) {
	t.Helper()
	b.site.finishedWithin(t, within, workflows.MessageWorkflowID(m))
	require.Equal(t, "answered", b.site.status(t, m))
}

// On Telegram an answer grows by editing, in as many messages as its limit
// wants; a refused or a limited edit, and one that changes nothing, end in the
// same whole text.
func TestAnswersGrowOnTelegram(t *testing.T) {
	t.Parallel()
	w := newWatched(t, slog.LevelInfo)
	said := "**The first** paragraph is said slowly, word by word, so that it is shown while it is said."
	shown := "The first paragraph is said slowly, word by word, so that it is shown while it is said."
	agent := newTalker(t, 150*time.Millisecond, said)

	t.Run("by editing", func(t *testing.T) {
		t.Parallel()
		b := w.newTelegram(t, object{"agent": agent.agent()})
		m := b.asks(11, "hello")
		require.Eventually(t, func() bool {
			read := b.reads(11)
			return len(read) == 1 && read[0] != shown && strings.HasPrefix(shown, read[0])
		}, 20*time.Second, 5*time.Millisecond)
		b.answered(t, m, 30*time.Second)
		require.Equal(t, []string{shown}, b.reads(11))
		require.Len(t, b.All(11), 1, "nothing was deleted")
		require.Equal(t, "bold", b.Sent(11)[0].Entities[0].Type)
		require.NotEmpty(t, b.Calls("editMessageText"))
		for i, c := range b.Calls("editMessageText")[1:] {
			require.Greater(t, c.At.Sub(b.Calls("editMessageText")[i].At), 700*time.Millisecond, "no oftener than Telegram allows")
		}
	})
	t.Run("refused", func(t *testing.T) {
		t.Parallel()
		b := w.newTelegram(t, object{"agent": agent.agent()})
		for range 20 {
			b.Fault("editMessageText", telegramtest.Fault{Status: http.StatusBadRequest, Description: "Bad Request: message can't be edited"})
		}
		m := b.asks(11, "hello")
		b.answered(t, m, 30*time.Second)
		require.Equal(t, []string{shown}, b.reads(11))
		require.Len(t, b.All(11), 2, "the first one was taken back")
	})
	t.Run("limited", func(t *testing.T) {
		t.Parallel()
		b := w.newTelegram(t, object{"agent": agent.agent()})
		b.Fault("editMessageText", telegramtest.Fault{Status: http.StatusTooManyRequests, RetryAfter: 10})
		m := b.asks(11, "hello")
		require.Eventually(t, func() bool { return len(b.Calls("editMessageText")) == 1 }, 20*time.Second, 5*time.Millisecond)
		told := b.Calls("editMessageText")[0].At
		other := b.asks(12, "hello")
		b.answered(t, other, 10*time.Second)
		require.Equal(t, []string{shown}, b.reads(12))
		require.Less(t, time.Since(told), 10*time.Second)
		b.answered(t, m, 30*time.Second)
		require.Equal(t, []string{shown}, b.reads(11))
	})
	t.Run("outgrowing a message", func(t *testing.T) {
		t.Parallel()
		long := strings.TrimSpace(strings.Repeat("Seven more words for a long answer. ", 160)) // 5759 characters
		b := w.newTelegram(t, object{"agent": newTalker(t, 4*time.Millisecond, long).agent(), "messaging": object{"enableAutoSplit": false}})
		m := b.asks(11, "hello")
		b.answered(t, m, 40*time.Second)
		read := b.reads(11)
		require.Len(t, read, 2)
		require.Equal(t, strings.Fields(long), strings.Fields(strings.Join(read, " ")), "each word once, in order")
		for _, text := range read {
			require.LessOrEqual(t, len(text), 4096)
		}
		require.NotEmpty(t, b.Calls("editMessageText"))
		for _, c := range b.Calls("") {
			require.NotContains(t, fmt.Sprint(c.Params["text"]), "too long")
		}
		require.Len(t, b.All(11), 2)
	})
}

// The hub is killed while an answer grows on Telegram, which does not know a
// message again: where the message is known it is written on, whole; where
// nobody knows whether it was sent, it is not sent twice, and the hub says so.
func TestKillWhileAnAnswerGrowsOnTelegram(t *testing.T) {
	t.Parallel()
	c := newChild(t)
	first := map[string]string{} // by what is asked
	agent := newTalkerWith(t, 100*time.Millisecond, func(asked string, nth int) string {
		if nth == 1 {
			return first[asked]
		}
		return firstPart
	})
	c.start(t, orders{})
	b := c.newTelegram(t, object{"agent": agent.agent()})
	c.stop()
	deaths := []struct {
		when, point string
		nth         int // of sends the second: the first is the typing indicator
		known       bool
	}{{before, "Send", 2, false}, {after, "Send", 2, false}, {after, "ShownLive", 1, true}, {before, "Edit", 1, true}, {after, "Edit", 1, true},
		{after, "AnswerTurn", 1, true}, {before, "ReceiptPart", 1, true}}
	asked := map[int]uuid.UUID{}
	for i, d := range deaths {
		first[fmt.Sprint("hello ", i)] = untilCut(d.point)
	}
	for i, d := range deaths {
		person := int64(100 + i)
		chat := fmt.Sprint(person)
		c.start(t, orders{Faults: []fault{{moment{When: d.when, Point: d.point, Chat: omni.ChatID(b.id, chat), Platform: chat}, d.nth}}})
		asked[i] = b.asks(person, fmt.Sprint("hello ", i))
		c.dies(t, 30*time.Second)
		t.Logf("killed %s %s, when it read %q", d.when, d.point, b.reads(person))
	}
	c.start(t, orders{})
	for i, d := range deaths {
		name, person := fmt.Sprint(d), int64(100+i)
		c.finishedWithin(t, 3*answeredWithin, workflows.MessageWorkflowID(asked[i]))
		read := b.reads(person)
		var status string
		require.NoError(t, c.db.QueryRow(t.Context(), `SELECT status FROM messages WHERE chat_id = $1 AND direction = 'outbound'`,
			omni.ChatID(b.id, fmt.Sprint(person))).Scan(&status), name)
		if !d.known {
			require.Equal(t, "unknown", status, name)
			require.LessOrEqual(t, len(read), 1, "%s: not twice", name)
			continue
		}
		require.Equal(t, "sent", status, name)
		require.Len(t, read, 1, name)
		require.Contains(t, []string{otherPart, firstPart}, read[0], "%s: whole", name)
		require.Equal(t, "answered", c.status(t, asked[i]), name)
	}
	require.Empty(t, b.Violations())
}
