package webchat

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/channeltest"
)

func TestAVisitorHasOneRateOverAllConnections(t *testing.T) {
	t.Parallel()
	var c crowd
	a, leaveA := c.limiter("v1")
	b, leaveB := c.limiter("v1")
	other, _ := c.limiter("v2")
	require.Same(t, a, b)
	require.NotSame(t, a, other)
	leaveA()
	leaveB()
	again, _ := c.limiter("v1")
	require.Same(t, a, again, "coming back does not refill it")
}

func TestACrowdIsBounded(t *testing.T) {
	t.Parallel()
	var c crowd
	for range maxConnections {
		require.True(t, c.enter())
	}
	require.False(t, c.enter())
	c.exit()
	require.True(t, c.enter())

	stays, _ := c.limiter("stays")
	for i := range maxRemembered {
		_, leave := c.limiter(fmt.Sprint(i))
		leave()
	}
	require.LessOrEqual(t, len(c.visitors), maxRemembered)
	still, _ := c.limiter("stays")
	require.Same(t, stays, still)
}

func TestSeveralTabsShareTheRate(t *testing.T) {
	t.Parallel()
	hub := newHub(t, `{}`)
	server := httptest.NewServer(Channel{}.Page(hub.Config(),
		channels.PageDeps{Deps: hub.Deps(), Sink: hub.Sink, History: hub.History}))
	t.Cleanup(server.Close)
	const tabs, each = 5, 20
	answers := map[string]int{}
	for tab := range tabs {
		ws, resp, err := websocket.Dial(channeltest.Soon(t), server.URL+"/ws", &websocket.DialOptions{HTTPClient: server.Client()})
		require.NoError(t, err)
		if resp.Body != nil {
			_ = resp.Body.Close()
		}
		write := func(f clientFrame) {
			raw, err := json.Marshal(f)
			require.NoError(t, err)
			require.NoError(t, ws.Write(t.Context(), websocket.MessageText, raw))
		}
		write(clientFrame{Type: frameHello, Visitor: testToken})
		for i := range each {
			write(clientFrame{Type: frameMessage, ID: fmt.Sprintf("client-%d-%04d", tab, i), Text: "x"})
		}
		for answered := 0; answered < each; {
			_, data, err := ws.Read(channeltest.Soon(t))
			require.NoError(t, err)
			var f serverFrame
			require.NoError(t, json.Unmarshal(data, &f))
			if f.Type == frameAck || f.Type == frameError {
				answers[f.Type]++
				answered++
			}
		}
		require.NoError(t, ws.CloseNow())
	}
	require.GreaterOrEqual(t, answers[frameAck], messageBurst)
	require.Positive(t, answers[frameError], "each tab alone would be within the rate")
}
