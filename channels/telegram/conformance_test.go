package telegram

import (
	"encoding/json"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels/channeltest"
	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/channels/telegram/telegramtest"
)

func TestMain(m *testing.M) { channeltest.Main(m) }

const token = telegramtest.Token

func TestConformance(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{modePolling, modeWebhook} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			channeltest.Run(t, channeltest.Harness{
				Channel: Channel{},
				Open: func(t *testing.T, hub *channeltest.Hub) channeltest.Platform {
					return openPlatform(t, hub, mode)
				},
				BadConfigs: map[string][]string{
					"channelConfig.botToken":    {`{}`, `{"botToken":"hunter2"}`, `{"botToken":"12:ab/../cd0123456789"}`},
					"channelConfig.mode":        {`{"botToken":"` + token + `","mode":"pigeon"}`},
					"channelConfig.secretToken": {`{"botToken":"` + token + `","mode":"webhook"}`, `{"botToken":"` + token + `","secretToken":"a b"}`},
					"channelConfig.apiBaseUrl": {`{"botToken":"` + token + `","apiBaseUrl":"ftp://x"}`, `{"botToken":"` + token + `","apiBaseUrl":"http://x/"}`,
						`{"botToken":"` + token + `","apiBaseUrl":"http://x?a=b"}`, `{"botToken":"` + token + `","apiBaseUrl":"/x"}`},
					"channelConfig": {`{"botToken":5}`},
				},
				Convert: func(t *testing.T, raw []byte) []message.Inbound {
					_, events, err := convert(raw, account{id: 123456789, username: "omni_test_bot"})
					require.NoError(t, err)
					return events
				},
			})
		})
	}
}

// platform is Telegram with one person, who writes in a private chat.
type platform struct {
	*telegramtest.Server
	mu      sync.Mutex
	updates map[string]int64
}

var ana = telegramtest.User{ID: 4242, FirstName: "Ana", Username: "ana"}

func openPlatform(t *testing.T, hub *channeltest.Hub, mode string) *platform {
	t.Helper()
	srv, err := telegramtest.New()
	require.NoError(t, err)
	t.Cleanup(srv.Close)
	t.Cleanup(func() { require.Empty(t, srv.Violations()) })
	values, err := json.Marshal(config{BotToken: srv.Token(), Mode: mode, SecretToken: "s3cret-token", APIBaseURL: srv.URL()})
	require.NoError(t, err)
	hub.SetValues(values)
	return &platform{Server: srv, updates: map[string]int64{}}
}

func (p *platform) Chat() message.Chat { return message.Chat{ID: "4242", Type: message.ChatDM} }

func (p *platform) Deliver(ref, text string) {
	id, _ := p.Say(ana, text)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.updates[ref] = id
}

func (p *platform) update(ref string) int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.updates[ref]
}

func (p *platform) Redeliver(ref string) { p.Server.Redeliver(p.update(ref)) }

func (p *platform) Acknowledged(ref string) bool { return p.Confirmed(p.update(ref)) }

func (p *platform) Sent() []channeltest.Sent {
	var sent []channeltest.Sent
	for _, m := range p.All(ana.ID) {
		sent = append(sent, channeltest.Sent{ExternalID: messageID(m.Chat, m.ID), Text: m.Text, Deleted: m.Deleted})
	}
	return sent
}

func (p *platform) Fault(f channeltest.Fault) {
	fault := map[channeltest.Fault]telegramtest.Fault{
		channeltest.FaultRateLimited: {Status: http.StatusTooManyRequests, RetryAfter: 3},
		channeltest.FaultServerError: {Status: http.StatusInternalServerError},
		channeltest.FaultRejected:    {Status: http.StatusBadRequest, Description: "Bad Request: not enough rights to send text messages to the chat"},
		channeltest.FaultDropAfter:   {Drop: true, Accept: true},
		channeltest.FaultSlow:        {Delay: time.Hour},
	}
	if f == channeltest.FaultUnreachable {
		p.Close()
		return
	}
	p.Server.Fault("sendMessage", fault[f])
}
