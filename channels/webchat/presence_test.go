package webchat

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/channeltest"
)

// attendance writes down what a page says of who is there.
type attendance struct {
	mu   sync.Mutex
	said []string
}

func (a *attendance) Online(_ context.Context, user string) error  { return a.say("online " + user) }
func (a *attendance) Offline(_ context.Context, user string) error { return a.say("offline " + user) }

func (a *attendance) say(what string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.said = append(a.said, what)
	return nil
}

func (a *attendance) all() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]string{}, a.said...)
}

func TestThePageSaysWhoIsThere(t *testing.T) {
	t.Parallel()
	hub := newHub(t, `{}`)
	there := &attendance{}
	deps := hub.Deps()
	deps.Presence = there
	server := httptest.NewServer(Channel{}.Page(hub.Config(), channels.PageDeps{Deps: deps, Sink: hub.Sink, History: hub.History}))
	t.Cleanup(server.Close)
	open := func() *websocket.Conn {
		ws, resp, err := websocket.Dial(channeltest.Soon(t), server.URL+"/ws", &websocket.DialOptions{HTTPClient: server.Client()})
		require.NoError(t, err)
		if resp.Body != nil {
			_ = resp.Body.Close()
		}
		hello, err := json.Marshal(clientFrame{Type: frameHello, Visitor: testToken})
		require.NoError(t, err)
		require.NoError(t, ws.Write(t.Context(), websocket.MessageText, hello))
		return ws
	}
	says := func(want ...string) {
		t.Helper()
		require.Eventually(t, func() bool { return len(there.all()) >= len(want) }, 20*time.Second, 5*time.Millisecond)
		require.Equal(t, want, there.all())
	}
	me := chatID(hub.InstanceID, testToken)
	first := open()
	says("online " + me)
	second := open()
	says("online "+me, "online "+me)
	require.NoError(t, first.CloseNow())
	third := open()
	says("online "+me, "online "+me, "online "+me)
	require.NoError(t, second.CloseNow())
	require.NoError(t, third.CloseNow())
	says("online "+me, "online "+me, "online "+me, "offline "+me)
}
