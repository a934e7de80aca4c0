package custom

import (
	"encoding/json"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels/channeltest"
	"github.com/omnihub/omni/channels/custom/customtest"
	"github.com/omnihub/omni/channels/message"
)

func TestMain(m *testing.M) { channeltest.Main(m) }

func TestConformance(t *testing.T) {
	t.Parallel()
	good := customtest.NewSecret()
	channeltest.Run(t, channeltest.Harness{
		Channel: Channel{},
		Open:    openPlatform,
		BadConfigs: map[string][]string{
			"channelConfig.secret": {`{}`, `{"secret":"hunter2"}`, `{"secret":"whsec_"}`, `{"secret":"whsec_!!!!"}`,
				`{"secret":"whsec_c2hvcnQ="}`, `{"secret":"WHSEC_` + good[6:] + `"}`},
			"channelConfig.callbackUrl": {`{"secret":"` + good + `","callbackUrl":"ftp://x/"}`,
				`{"secret":"` + good + `","callbackUrl":"/relative"}`, `{"secret":"` + good + `","callbackUrl":"http://"}`,
				`{"secret":"` + good + `","callbackUrl":"https://u:p@example.com/"}`},
			"channelConfig": {`{"secret":7}`, `[]`},
		},
		Convert: func(t *testing.T, raw []byte) []message.Inbound {
			in, err := parse(raw, time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC), anyURL)
			require.NoError(t, err)
			return []message.Inbound{in}
		},
	})
}

func anyURL(string) error { return nil }

// platform is a program behind the custom channel: it posts an event until it
// is taken, as programs should.
type platform struct {
	t        *testing.T
	client   *customtest.Client
	receiver *customtest.Receiver
	running  sync.WaitGroup

	mu    sync.Mutex
	texts map[string]string
	acked map[string]bool
}

func openPlatform(t *testing.T, hub *channeltest.Hub) channeltest.Platform {
	secret := customtest.NewSecret()
	r, err := customtest.NewReceiver(secret)
	require.NoError(t, err)
	t.Cleanup(r.Close)
	values, err := json.Marshal(config{Secret: secret, CallbackURL: r.URL()})
	require.NoError(t, err)
	hub.SetValues(values)
	p := &platform{t: t, receiver: r, texts: map[string]string{}, acked: map[string]bool{},
		client: &customtest.Client{URL: hub.WebhookURL(), Secret: secret, HTTP: hub.HTTP}}
	t.Cleanup(p.running.Wait)
	return p
}

func (p *platform) Chat() message.Chat { return message.Chat{ID: "c1", Type: message.ChatDM} }

func (p *platform) Deliver(ref, text string) {
	p.mu.Lock()
	p.texts[ref] = text
	p.mu.Unlock()
	p.post(ref)
}

func (p *platform) Redeliver(ref string) { p.post(ref) }

func (p *platform) post(ref string) {
	p.mu.Lock()
	event := customtest.Text(ref, "c1", "u1", p.texts[ref])
	p.mu.Unlock()
	p.running.Go(func() {
		for p.t.Context().Err() == nil {
			if a, err := p.client.Send(p.t.Context(), ref, event); err == nil && a.Status == http.StatusAccepted {
				p.mu.Lock()
				p.acked[ref] = true
				p.mu.Unlock()
				return
			}
		}
	})
}

func (p *platform) Acknowledged(ref string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.acked[ref]
}

func (p *platform) Sent() []channeltest.Sent {
	var sent []channeltest.Sent
	for _, b := range p.receiver.Bubbles() {
		switch b.Message.Kind {
		case message.KindMessage:
			sent = append(sent, channeltest.Sent{ExternalID: b.ExternalID, Text: b.Message.Content.Text})
		case message.KindEdit, message.KindDelete:
			for i := range sent {
				if sent[i].ExternalID == b.Message.TargetID {
					sent[i].Text = b.Message.Content.Text
					sent[i].Deleted = b.Message.Kind == message.KindDelete
				}
			}
		}
	}
	return sent
}

func (p *platform) Fault(f channeltest.Fault) {
	switch f {
	case channeltest.FaultRateLimited:
		p.receiver.Fault(customtest.Fault{Status: http.StatusTooManyRequests, RetryAfter: "3"})
	case channeltest.FaultServerError:
		p.receiver.Fault(customtest.Fault{Status: http.StatusInternalServerError})
	case channeltest.FaultRejected:
		p.receiver.Fault(customtest.Fault{Status: http.StatusUnprocessableEntity, Body: "no such chat"})
	case channeltest.FaultDropAfter:
		// Twice: the transport itself repeats a request that carries an idempotency key.
		drop := customtest.Fault{Drop: true, Accept: true}
		p.receiver.Fault(drop, drop, drop, drop)
	case channeltest.FaultSlow:
		p.receiver.Fault(customtest.Fault{Delay: time.Hour})
	case channeltest.FaultUnreachable:
		p.receiver.Close()
	}
}
