package webchat

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/channeltest"
)

func TestNewcomersOfAnAddress(t *testing.T) {
	t.Parallel()
	n := newAddresses(3)
	now := time.Now()
	for range 3 {
		require.Zero(t, n.begin("192.0.2.1:1", now))
	}
	wait := n.begin("192.0.2.1:2", now)
	require.InDelta(t, 20, wait.Seconds(), 0.1, "three a minute")
	require.Zero(t, n.begin("192.0.2.2:1", now), "others come in")
	require.Zero(t, n.begin("192.0.2.1:3", now.Add(wait)))
	for range 3 {
		require.Zero(t, n.begin("[2001:db8::1]:1", now))
	}
	require.Positive(t, n.begin("[2001:db8::2]:1", now), "a network of IPv6 is one household")

	for i := range maxAddresses + 100 {
		n.begin(fmt.Sprintf("10.%d.%d.%d:1", i>>16, i>>8&255, i&255), now)
	}
	require.LessOrEqual(t, len(n.from), maxAddresses)
	require.Positive(t, n.begin("203.0.113.1:1", now), "those there is no room for share one")
	n.begin("203.0.113.2:1", now.Add(2*time.Minute))
	require.Less(t, len(n.from), 10, "and whoever may come again is forgotten")
}

// One address keeps nobody else from the page: neither by connections nor by
// messages, whoever its visitors say they are.
func TestAnAddressIsBounded(t *testing.T) {
	t.Parallel()
	n := newAddresses(10)
	now := time.Now()
	var leave []func()
	for {
		l, ok := n.enter("192.0.2.1:1", now)
		if !ok {
			break
		}
		leave = append(leave, l)
	}
	require.Len(t, leave, fewestOpen)
	_, ok := n.enter("192.0.2.2:1", now)
	require.True(t, ok, "others come in")
	now = now.Add(time.Hour)
	_, ok = n.enter("192.0.2.1:1", now)
	require.False(t, ok, "as long as all are open")
	leave[0]()
	_, ok = n.enter("192.0.2.1:1", now)
	require.True(t, ok)

	for range 10 * writesPerNewChat {
		require.Zero(t, n.write("192.0.2.1:1", now))
	}
	require.InDelta(t, 0.1, n.write("192.0.2.1:1", now).Seconds(), 0.01, "then ten a second")
	require.Zero(t, n.write("192.0.2.2:1", now))
}

// visit opens the page as a visitor, writes once and returns the answer.
func visit(t *testing.T, server *httptest.Server, token, id string) serverFrame {
	t.Helper()
	ws, resp, err := websocket.Dial(channeltest.Soon(t), server.URL+"/ws", &websocket.DialOptions{HTTPClient: server.Client()})
	require.NoError(t, err)
	if resp.Body != nil {
		_ = resp.Body.Close()
	}
	defer func() { _ = ws.CloseNow() }()
	for _, f := range []clientFrame{{Type: frameHello, Visitor: token}, {Type: frameMessage, ID: id, Text: "hi"}} {
		raw, err := json.Marshal(f)
		require.NoError(t, err)
		require.NoError(t, ws.Write(t.Context(), websocket.MessageText, raw))
	}
	for {
		_, data, err := ws.Read(channeltest.Soon(t))
		require.NoError(t, err)
		var f serverFrame
		require.NoError(t, json.Unmarshal(data, &f))
		if f.Type == frameAck || f.Type == frameError {
			return f
		}
	}
}

// Tokens are free; chats are not. Who has written before is no newcomer.
func TestVisitorsOfOneAddressBeginSoManyChats(t *testing.T) {
	t.Parallel()
	hub := newHub(t, `{"newChatsPerMinute":3}`)
	server := httptest.NewServer(Channel{}.Page(hub.Config(), channels.PageDeps{Deps: hub.Deps(), Sink: hub.Sink, History: hub.History}))
	t.Cleanup(server.Close)
	token := func(i int) string { return fmt.Sprintf("%032d", i) }
	hub.History.Add(chatID(hub.InstanceID, token(0)), channels.HistoryItem{ID: "m0"})
	for i := 1; i <= 3; i++ {
		require.Equal(t, frameAck, visit(t, server, token(i), "client-0001").Type)
	}
	refused := visit(t, server, token(4), "client-0001")
	require.Equal(t, codeRateLimited, refused.Code)
	require.Greater(t, refused.RetryAfterMs, int64(10_000))
	require.Equal(t, frameAck, visit(t, server, token(0), "client-0002").Type, "who has a history goes on")
}

// A page that is open in many windows at once leaves places for others.
func TestAPageIsNotFilledFromOneAddress(t *testing.T) {
	t.Parallel()
	hub := newHub(t, `{"newChatsPerMinute":1}`)
	server := httptest.NewServer(Channel{}.Page(hub.Config(), channels.PageDeps{Deps: hub.Deps(), Sink: hub.Sink, History: hub.History}))
	t.Cleanup(server.Close)
	var open []*websocket.Conn
	t.Cleanup(func() {
		for _, ws := range open {
			_ = ws.CloseNow()
		}
	})
	for {
		ws, resp, err := websocket.Dial(channeltest.Soon(t), server.URL+"/ws", &websocket.DialOptions{HTTPClient: server.Client()})
		if err != nil {
			require.Equal(t, http.StatusTooManyRequests, resp.StatusCode)
			require.NotEmpty(t, resp.Header.Get("Retry-After"))
			break
		}
		open = append(open, ws)
		require.LessOrEqual(t, len(open), fewestOpen)
	}
	require.Len(t, open, fewestOpen)
}

func TestNewChatsPerMinuteIsChecked(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{`{"newChatsPerMinute":-1}`, `{"newChatsPerMinute":1000001}`} {
		err := Channel{}.Validate(channels.Config{Values: json.RawMessage(bad)})
		var field *channels.ConfigError
		require.ErrorAs(t, err, &field)
		require.Equal(t, "channelConfig.newChatsPerMinute", field.Field)
	}
	c, err := readConfig(channels.Config{})
	require.NoError(t, err)
	require.Equal(t, defaultNewChats, c.NewChats)
}
