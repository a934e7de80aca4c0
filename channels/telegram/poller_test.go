package telegram

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/channeltest"
	"github.com/omnihub/omni/channels/telegram/telegramtest"
)

func open(t *testing.T, mode string) (*channeltest.Hub, *platform) {
	t.Helper()
	hub := channeltest.NewHub(t, Channel{})
	return hub, openPlatform(t, hub, mode)
}

func waitSink(t *testing.T, hub *channeltest.Hub, ok func() bool) {
	t.Helper()
	require.NoError(t, hub.Sink.Wait(channeltest.Soon(t), ok))
}

func TestPollingGoesOnWhereItStopped(t *testing.T) {
	t.Parallel()
	hub, p := open(t, modePolling)
	first := hub.Start(t)
	p.Deliver("a", "one")
	p.Deliver("b", "two")
	waitSink(t, hub, func() bool { return len(hub.Sink.Stored()) == 2 })
	require.NoError(t, first.Stop(t.Context()))
	p.Deliver("c", "while away")

	raw, err := hub.KV.Get(t.Context(), offsetKey)
	require.NoError(t, err)
	var o offset
	require.NoError(t, json.Unmarshal(raw, &o))
	require.Equal(t, p.update("b")+1, o.Next)

	attempts := hub.Sink.Attempts()
	hub.Start(t)
	waitSink(t, hub, func() bool { return len(hub.Sink.Stored()) == 3 })
	require.Equal(t, attempts+1, hub.Sink.Attempts(), "what was stored does not come again")
}

func TestPollingWithoutTheKeptOffset(t *testing.T) {
	t.Parallel()
	for name, kept := range map[string]string{"none": "", "broken": "{", "of another bot": `{"bot":1,"next":99999,"at":"2100-01-01T00:00:00Z"}`,
		"too old": `{"bot":123456789,"next":99999,"at":"2020-01-01T00:00:00Z"}`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hub, p := open(t, modePolling)
			require.NoError(t, hub.KV.Put(t.Context(), offsetKey, []byte(kept)))
			hub.Start(t)
			p.Deliver("a", "hello")
			require.Eventually(t, func() bool { return p.Acknowledged("a") }, 20*time.Second, time.Millisecond)
		})
	}
}

func TestOffsetAdvances(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 10, 0, 0, 0, 0, time.UTC)
	var o offset
	o.advance(7, 100, now)
	require.Equal(t, offset{Bot: 7, Next: 101, At: now}, o)
	o.advance(7, 50, now)
	require.EqualValues(t, 101, o.Next, "an old update that comes again does not turn it back")
	require.EqualValues(t, 101, o.value(now.Add(5*24*time.Hour)))
	later := now.Add(8 * 24 * time.Hour)
	require.Zero(t, o.value(later), "after a week Telegram may count anew")
	o.advance(7, 3, later)
	require.EqualValues(t, 4, o.value(later))
}

func TestPollingRemovesAWebhook(t *testing.T) {
	t.Parallel()
	hub, p := open(t, modeWebhook)
	require.NoError(t, hub.Start(t).Stop(t.Context()))
	require.NotEmpty(t, p.WebhookURL())

	polling := channeltest.NewHub(t, Channel{})
	values, err := json.Marshal(config{BotToken: p.Token(), APIBaseURL: p.URL()})
	require.NoError(t, err)
	polling.SetValues(values)
	polling.Start(t)
	require.Empty(t, p.WebhookURL())
	p.Deliver("a", "hello")
	waitSink(t, polling, func() bool { return len(polling.Sink.Stored()) == 1 })
}

func TestPollingSurvivesConflicts(t *testing.T) {
	t.Parallel()
	hub, p := open(t, modePolling)
	p.Server.Fault("getUpdates", telegramtest.Fault{Status: 409, Description: "Conflict: terminated by other getUpdates request"})
	hub.Start(t)
	waitSink(t, hub, func() bool {
		return slices.ContainsFunc(hub.Sink.States(), func(st channels.State) bool {
			return st.Status == channels.StatusError && strings.Contains(st.Reason, "another program")
		})
	})
	p.Deliver("a", "hello")
	waitSink(t, hub, func() bool { return len(hub.Sink.Stored()) == 1 && hub.Sink.LastStatus() == channels.StatusActive })
}

func TestPollingHeedsRateLimitsAndOutages(t *testing.T) {
	t.Parallel()
	hub, p := open(t, modePolling)
	p.Server.Fault("getUpdates", telegramtest.Fault{Status: 429, RetryAfter: 1}, telegramtest.Fault{Status: 502}, telegramtest.Fault{Drop: true})
	hub.Start(t)
	began := time.Now()
	p.Deliver("a", "hello")
	waitSink(t, hub, func() bool { return len(hub.Sink.Stored()) == 1 && hub.Sink.LastStatus() == channels.StatusActive })
	require.GreaterOrEqual(t, time.Since(began), time.Second)
}

func TestRefusedTokenNeedsAPerson(t *testing.T) {
	t.Parallel()
	for _, code := range []int{401, 404} {
		hub, p := open(t, modePolling)
		p.Server.Fault("getMe", telegramtest.Fault{Status: code})
		require.NoError(t, hub.Open(t).Start(t.Context(), hub.Sink))
		waitSink(t, hub, func() bool { return hub.Sink.LastStatus() == channels.StatusNeedsLogin })
		states := hub.Sink.States()
		require.Contains(t, states[len(states)-1].Reason, "botToken")
	}
}

func TestConnectingIsRepeated(t *testing.T) {
	t.Parallel()
	hub, p := open(t, modePolling)
	p.Server.Fault("getMe", telegramtest.Fault{Drop: true}, telegramtest.Fault{Status: 500})
	hub.Start(t)
	require.Len(t, p.Calls("getMe"), 3)
	require.Len(t, p.Calls("deleteWebhook"), 1)
}

// An update that cannot be read is skipped alone: it would come for ever.
func TestUnreadableUpdatesAreSkippedAlone(t *testing.T) {
	t.Parallel()
	hub, p := open(t, modePolling)
	hub.Start(t)
	for _, bad := range []string{`{"update_id":%d,"message":{"message_id":"seven"}}`,
		`{"update_id":%d,"message_reaction":{"chat":{"id":1},"new_reaction":[{"type":"of next year"}]}}`,
		`{"update_id":%d,"message":{"message_id":1,"chat":{"id":5,"type":"private"},"text":"x","entities":[{"type":"mention","offset":-3,"length":9000000000}]}}`} {
		id := p.NextUpdateID()
		p.PushRaw(id, fmt.Appendf(nil, bad, id))
	}
	p.Deliver("a", "hello")
	require.Eventually(t, func() bool { return p.Acknowledged("a") }, 20*time.Second, time.Millisecond)
	texts := hub.Sink.Texts()
	require.Equal(t, "hello", texts[len(texts)-1])
}

func TestEveryKindOfUpdateArrives(t *testing.T) {
	t.Parallel()
	hub, p := open(t, modePolling)
	hub.Start(t)
	require.NoError(t, p.Wait(channeltest.Soon(t), func() bool { return len(p.Calls("getMe")) > 0 }))
	p.Deliver("a", "hello")
	require.Eventually(t, func() bool { return p.Acknowledged("a") }, 20*time.Second, time.Millisecond)
	chat := map[string]any{"id": ana.ID, "type": "private", "first_name": "Ana"}
	p.Push("edited_message", map[string]any{"message_id": 1, "from": ana, "chat": chat, "edit_date": 1767225600, "text": "hello!"})
	p.Push("message_reaction", map[string]any{"message_id": 1, "user": ana, "chat": chat,
		"old_reaction": []any{}, "new_reaction": []any{map[string]any{"type": "emoji", "emoji": "🔥"}}})
	waitSink(t, hub, func() bool { return len(hub.Sink.Stored()) == 3 })
	stored := hub.Sink.Stored()
	require.Equal(t, stored[0].Event.ID, stored[1].Event.TargetID)
	require.Equal(t, stored[0].Event.ID, stored[2].Event.TargetID)
	require.Equal(t, "🔥", stored[2].Event.Content.Reaction.Emoji)
}

// lockedBuffer is a log that several goroutines write.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestTheTokenIsNeverShown(t *testing.T) {
	t.Parallel()
	hub, p := open(t, modePolling)
	var log lockedBuffer
	deps := hub.Deps()
	deps.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s, err := Channel{}.New(hub.Config(), deps)
	require.NoError(t, err)
	p.Close() // nobody listens
	require.NoError(t, s.Start(t.Context(), hub.Sink))
	waitSink(t, hub, func() bool { return hub.Sink.LastStatus() == channels.StatusError })
	_, err = s.Send(t.Context(), channeltest.Text(p.Chat(), "x"))
	require.Error(t, err)
	require.NoError(t, s.Stop(t.Context()))
	secret := strings.TrimPrefix(token, "123456789:")
	require.NotContains(t, err.Error(), secret)
	require.NotContains(t, log.String(), secret)
	require.NotEmpty(t, log.String())
	for _, st := range hub.Sink.States() {
		require.NotContains(t, st.Reason, secret)
	}
}
