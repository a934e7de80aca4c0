package e2e

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels/telegram/telegramtest"
)

// telegramWait bounds one exchange on a busy machine.
const telegramWait = 20 * time.Second

// telegramBot is an instance of the telegram channel on a Bot API server of its own.
type telegramBot struct {
	*telegramtest.Server
	hub *hub
	id  string // of the instance
}

// newBot creates an instance; config is merged into its channelConfig.
func (h *hub) newBot(token string, config, messaging object) *telegramBot {
	h.t.Helper()
	server, err := telegramtest.NewAt("127.0.0.1:0", token)
	require.NoError(h.t, err)
	b := &telegramBot{Server: server, hub: h}
	settings := object{"botToken": token, "apiBaseUrl": server.URL()}
	maps.Copy(settings, config)
	var created struct{ ID string }
	h.call(http.MethodPost, "/api/v1/instances", object{"name": "bot", "channel": "telegram", "channelConfig": settings,
		"messaging": messaging, "agent": object{"provider": "echo"}}, &created)
	b.id = created.ID
	h.t.Cleanup(func() {
		require.Empty(h.t, server.Violations(), "what the real Bot API would not have understood")
		server.Close()
	})
	require.Eventually(h.t, func() bool {
		var st struct{ Status string }
		h.call(http.MethodGet, "/api/v1/instances/"+b.id, nil, &st)
		return st.Status == "active"
	}, telegramWait, 20*time.Millisecond, "the bot becomes active")
	return b
}

// until waits for something to be true of the bot.
func (b *telegramBot) until(what string, ok func() bool) {
	b.hub.t.Helper()
	ctx, cancel := context.WithTimeout(b.hub.t.Context(), telegramWait)
	defer cancel()
	require.NoError(b.hub.t, b.Wait(ctx, ok), what)
}

// texts is what the bot said in a chat.
func (b *telegramBot) texts(chat int64) []string {
	out := []string{}
	for _, m := range b.Sent(chat) {
		out = append(out, m.Text)
	}
	return out
}

// answers waits for n messages of the bot in a chat and returns all there are.
func (b *telegramBot) answers(chat int64, n int) []string {
	b.hub.t.Helper()
	b.until(fmt.Sprint("answers in chat ", chat), func() bool { return len(b.texts(chat)) >= n })
	return b.texts(chat)
}

// recorded waits until the hub lists a message with this text.
func (b *telegramBot) recorded(text string) {
	b.hub.t.Helper()
	require.Eventually(b.hub.t, func() bool {
		var list []struct{ Content struct{ Text string } }
		b.hub.call(http.MethodGet, "/api/v1/messages?direction=inbound&limit=100&instanceId="+b.id, nil, &list)
		for _, m := range list {
			if m.Content.Text == text {
				return true
			}
		}
		return false
	}, telegramWait, 50*time.Millisecond, "the hub knows %q", text)
}

func person(id int64, name string) telegramtest.User {
	return telegramtest.User{ID: id, FirstName: name}
}

// The Bot API server is a fake that a third party's client accepts, too.
func TestTelegram(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	tokens := []string{"111111111:AAPollingPollingPollingPollingPol1", "222222222:AAWebhookWebhookWebhookWebhookWeb2",
		"333333333:AALimitedLimitedLimitedLimitedLim3", "444444444:AAEditedEditedEditedEditedEditedEd4", "555555555:AAAttachAttachAttachAttachAttachA5"}
	ana, luis := person(1001, "Ana"), person(1002, "Luis")

	bot := h.newBot(tokens[0], nil, nil)
	h.share(t, "polling answers in Telegram's HTML", func(t *testing.T) { answersInHTML(t, bot, ana) })
	h.share(t, "what the API sends is formatted and split", func(t *testing.T) { sendsLongMarkdown(t, bot) })
	h.share(t, "webhook", func(t *testing.T) { answersWebhook(t, h, tokens[1], ana) })
	h.share(t, "429 is waited for, in its chat only", func(t *testing.T) { waitsAsTold(t, h.newBot(tokens[2], nil, nil), ana, luis) })
	h.share(t, "an edit during the debounce changes what is answered", func(t *testing.T) {
		b := h.newBot(tokens[3], nil, object{"debounceMode": "fixed", "debounceMs": 2000})
		_, id := b.Say(ana, "two tickets")
		b.recorded("two tickets")
		b.Push("edited_message", map[string]any{"message_id": id, "from": ana, "text": "three tickets", "edit_date": time.Now().Unix(),
			"chat": map[string]any{"id": ana.ID, "type": "private", "first_name": ana.FirstName}})
		require.Equal(t, []string{"three tickets"}, b.answers(ana.ID, 1))
	})
	h.share(t, "attachments", func(t *testing.T) { hasFiles(t, h.newBot(tokens[4], nil, nil), ana) })
	h.share(t, "killed before the update is confirmed", func(t *testing.T) { survivesKills(t, bot, luis) })

	log, err := os.ReadFile(h.log.Name())
	require.NoError(t, err)
	for _, token := range tokens {
		_, secret, _ := strings.Cut(token, ":")
		require.NotContains(t, string(log), secret)
		require.NotContains(t, string(log), url.QueryEscape(token))
	}
}

func answersInHTML(t *testing.T, b *telegramBot, who telegramtest.User) {
	b.Say(who, "**bold** & <b>not</b>")
	require.Equal(t, []string{"bold & <b>not</b>"}, b.answers(who.ID, 1))
	sent := b.Sent(who.ID)[0]
	require.Len(t, sent.Entities, 1)
	require.Equal(t, telegramtest.Entity{Type: "bold", Offset: 0, Length: 4}, sent.Entities[0])
	calls := b.Calls("sendMessage")
	require.Equal(t, "HTML", calls[0].Params["parse_mode"])
	require.Equal(t, "<b>bold</b> &amp; &lt;b&gt;not&lt;/b&gt;", calls[0].Params["text"])
}

// sendsLongMarkdown sends a document that is longer than a message may be.
func sendsLongMarkdown(t *testing.T, b *telegramBot) {
	eva := person(1003, "Eva")
	b.Say(eva, "hello") // a bot cannot write first
	b.answers(eva.ID, 1)
	var text strings.Builder
	var want []string
	for i := range 300 {
		fmt.Fprintf(&text, "- **item %d** with [a link](https://example.com/%d)\n", i, i)
		want = append(want, fmt.Sprintf("• item %d with a link", i))
	}
	var s struct{ Status string }
	b.hub.call(http.MethodPost, "/api/v1/messages?wait=20", object{"instanceId": b.id, "to": fmt.Sprint(eva.ID),
		"content": object{"type": "text", "text": text.String()}}, &s)
	require.Equal(t, "sent", s.Status)
	parts := b.texts(eva.ID)[1:]
	require.Greater(t, len(parts), 1)
	require.Equal(t, want, strings.Split(strings.Join(parts, "\n"), "\n"), "each item once, in order, whole")
	for _, m := range b.Sent(eva.ID)[1:] {
		require.LessOrEqual(t, len(m.Text), 4096)
		require.NotEmpty(t, m.Entities)
	}
}

func answersWebhook(t *testing.T, h *hub, token string, who telegramtest.User) {
	b := h.newBot(token, object{"mode": "webhook", "secretToken": "only-telegram-knows-this"}, nil)
	require.Contains(t, b.WebhookURL(), h.url("/webhook/telegram/"+b.id))
	update, _ := b.Say(who, "over the webhook")
	require.Equal(t, []string{"over the webhook"}, b.answers(who.ID, 1))
	require.Empty(t, b.Calls("getUpdates"))

	// The same update once more, as after an answer that got lost.
	b.Redeliver(update)
	b.Say(who, "and again")
	require.Equal(t, []string{"over the webhook", "and again"}, b.answers(who.ID, 2))

	// Somebody else knows the address, but not the secret.
	req := httptest.NewRequest(http.MethodPost, h.url("/webhook/telegram/"+b.id), strings.NewReader(`{"update_id":5}`))
	req.RequestURI = ""
	req.Header.Set("X-Telegram-Bot-Api-Secret-Token", "a guess")
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusUnauthorized, resp.StatusCode)
}

func waitsAsTold(t *testing.T, b *telegramBot, limited, other telegramtest.User) {
	const told = 3 * time.Second
	b.Fault("sendMessage", telegramtest.Fault{Status: http.StatusTooManyRequests, RetryAfter: int(told.Seconds())})
	b.Say(limited, "first")
	b.until("the refused call", func() bool { return len(b.Calls("sendMessage")) == 1 })
	b.Say(other, "meanwhile")
	require.Equal(t, []string{"meanwhile"}, b.answers(other.ID, 1))
	require.Empty(t, b.Sent(limited.ID), "the other chat did not wait for this one")
	require.Equal(t, []string{"first"}, b.answers(limited.ID, 1))
	var tries []time.Time
	for _, c := range b.Calls("sendMessage") {
		if c.Params["chat_id"] == fmt.Sprint(limited.ID) {
			tries = append(tries, c.At)
		}
	}
	require.Len(t, tries, 2)
	require.GreaterOrEqual(t, tries[1].Sub(tries[0]), told, "not before it was told")
}

// The hub is killed as soon as an update was handed to it, and then again when
// an update is stored but not confirmed: each is answered once.
func survivesKills(t *testing.T, b *telegramBot, who telegramtest.User) {
	// No kill may hit a send: nobody would know what came of it.
	b.hub.call(http.MethodPatch, "/api/v1/instances/"+b.id, object{"messaging": object{"debounceMode": "fixed", "debounceMs": 1500}}, nil)
	polls := len(b.Calls("getUpdates"))
	first, _ := b.Say(who, "before the kill")
	b.until("the update is handed over", func() bool { return len(b.Calls("getUpdates")) > polls })
	b.hub.kill()
	b.hub.start()
	require.Equal(t, []string{"before the kill"}, b.answers(who.ID, 1))
	b.until("the update is confirmed", func() bool { return b.Confirmed(first) })

	// The confirming call hangs, and is never carried out.
	b.Fault("getUpdates", telegramtest.Fault{Delay: time.Hour, Drop: true})
	second, _ := b.Say(who, "not confirmed")
	b.recorded("not confirmed")
	require.False(t, b.Confirmed(second))
	b.hub.kill()
	b.hub.start()
	b.until("the update is confirmed", func() bool { return b.Confirmed(second) })
	require.Equal(t, []string{"before the kill", "not confirmed"}, b.answers(who.ID, 2))

	// Handed over once more, whatever was confirmed. What is answered in one
	// chat is in order: a second answer would come before the last one.
	b.Redeliver(second)
	b.Say(who, "the end")
	require.Equal(t, []string{"before the kill", "not confirmed", "the end"}, b.answers(who.ID, 3))
}

// hasFiles sends a voice message, which is answered once Telegram has given its
// bytes, and a film that Telegram gives to no bot, which is answered at once.
func hasFiles(t *testing.T, b *telegramBot, who telegramtest.User) {
	const slow = 1500 * time.Millisecond
	voice := b.AddFile("voice.oga", "audio/ogg", []byte("a voice"))
	film := b.AddFile("film.mp4", "video/mp4", make([]byte, 20<<20+1))
	chat := map[string]any{"id": who.ID, "type": "private", "first_name": who.FirstName}
	b.Fault("getFile", telegramtest.Fault{Delay: slow})
	said := time.Now()
	b.Push("message", map[string]any{"from": who, "chat": chat, "caption": "listen",
		"voice": map[string]any{"file_id": voice, "file_unique_id": "u1", "duration": 1, "mime_type": "audio/ogg", "file_size": 7}})
	require.Equal(t, []string{"listen"}, b.answers(who.ID, 1))
	require.GreaterOrEqual(t, time.Since(said), slow, "the window waits for what the answer is about")
	b.Push("message", map[string]any{"from": who, "chat": chat, "caption": "watch",
		"video": map[string]any{"file_id": film, "file_unique_id": "u2", "duration": 1, "width": 9, "height": 9, "mime_type": "video/mp4"}})
	require.Equal(t, []string{"listen", "watch"}, b.answers(who.ID, 2))

	received := b.hub.eventLog("type=media.received&instanceId=" + b.id)
	require.Len(t, received, 1)
	var list []attached
	b.hub.call(http.MethodGet, "/api/v1/messages?direction=inbound&instanceId="+b.id, nil, &list)
	require.Len(t, list, 2)
	require.Equal(t, "audio/ogg", list[1].Content.Media[0].MimeType)
	require.NotEmpty(t, list[1].Content.Media[0].ID)
	require.Equal(t, "a voice", b.hub.raw("/api/v1/media/"+list[1].Content.Media[0].ID))
	require.Len(t, b.hub.eventLog("type=media.failed&instanceId="+b.id), 1)
	failed := b.hub.raw("/api/v1/events?type=media.failed&instanceId=" + b.id)
	require.Contains(t, failed, `"reason":"too_large"`)
	require.Contains(t, failed, "20 MB")
	for _, path := range []string{"/api/v1/events?limit=100&instanceId=" + b.id, "/api/v1/messages/" + list[0].ID + "/trace", "/api/v1/messages/" + list[1].ID + "/trace"} {
		body := b.hub.raw(path)
		_, secret, _ := strings.Cut(b.Token(), ":")
		require.NotContains(t, body, secret, path)
	}
}

// raw is what the API answers, as it is.
func (h *hub) raw(path string) string {
	h.t.Helper()
	status, body, err := h.try(http.MethodGet, path, nil)
	require.NoError(h.t, err)
	require.Equal(h.t, http.StatusOK, status, string(body))
	return string(body)
}
