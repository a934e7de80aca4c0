package steps

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels/custom/customtest"
	"github.com/omnihub/omni/internal/e2e/hubtest"
	"github.com/omnihub/omni/internal/omni"
)

// object is a piece of JSON.
type object map[string]any

func (s *site) url(path string) string { return fmt.Sprintf("http://127.0.0.1:%d%s", s.port, path) }

func (s *site) api() hubtest.API { return hubtest.API{URL: s.url(""), Key: apiKey} }

// call uses the API with the bootstrap key and decodes "data" into out.
func (s *site) call(t *testing.T, method, path string, body, out any) {
	t.Helper()
	s.api().Call(t, method, path, body, out)
}

func (s *site) ready() bool { return s.api().Ready() }

// instance creates an instance and waits until it is active.
func (s *site) instance(t *testing.T, body object) uuid.UUID {
	t.Helper()
	var created struct{ ID uuid.UUID }
	s.call(t, http.MethodPost, "/api/v1/instances", body, &created)
	require.Eventually(t, func() bool {
		var status struct{ Status string }
		s.call(t, http.MethodGet, "/api/v1/instances/"+created.ID.String(), nil, &status)
		return status.Status == "active"
	}, 10*time.Second, 20*time.Millisecond, "the instance becomes active")
	return created.ID
}

// line is an instance of the custom channel with the program behind it.
type line struct {
	*customtest.Client
	site *site
	id   uuid.UUID
	out  *customtest.Receiver
}

// newLine creates a custom instance; settings are merged into its body.
func (s *site) newLine(t *testing.T, settings object) *line {
	t.Helper()
	secret := customtest.NewSecret()
	out, err := customtest.NewReceiver(secret)
	require.NoError(t, err)
	t.Cleanup(out.Close)
	body := object{"name": t.Name(), "channel": "custom",
		"channelConfig": object{"secret": secret, "callbackUrl": out.URL()}, "agent": object{"provider": "echo"}}
	maps.Copy(body, settings)
	l := &line{site: s, out: out, id: s.instance(t, body)}
	l.Client = &customtest.Client{URL: s.url("/webhook/custom/" + l.id.String()), Secret: secret}
	return l
}

// message is the id that the hub gives the message with a platform id.
func (l *line) message(id string) uuid.UUID { return omni.TargetMessageID(l.id, id) }

func (l *line) chat(chat string) uuid.UUID { return omni.ChatID(l.id, chat) }

// say sends a text and returns the message's id.
func (l *line) say(t *testing.T, id, chat, text string) uuid.UUID {
	t.Helper()
	_, err := l.SendText(t.Context(), id, chat, "u-"+chat, text)
	require.NoError(t, err)
	return l.message(id)
}

// hears waits until the chat shows what it should.
func (l *line) hears(t *testing.T, within time.Duration, chat string, want ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	texts, err := l.out.WaitTexts(ctx, chat, len(want))
	require.NoError(t, err, "waiting for %q in %q", want, chat)
	require.Equal(t, want, texts, chat)
}

// warm makes the channel known to be quick: one part on it is then sent on the
// quick path.
func (l *line) warm(t *testing.T, name string) {
	t.Helper()
	const enough = 6
	for i := range enough {
		l.say(t, fmt.Sprintf("%s-%d", name, i), fmt.Sprintf("%s-%d", name, i), "warm")
	}
	for i := range enough {
		l.hears(t, 20*time.Second, fmt.Sprintf("%s-%d", name, i), "warm")
	}
}
