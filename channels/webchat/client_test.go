package webchat

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/channeltest"
	"github.com/omnihub/omni/channels/message"
)

const testToken = "0123456789abcdef0123456789abcdef"

// client is a page: it keeps what it wrote until it is acknowledged, writes
// one message at a time, and shows each id once.
type client struct {
	t    *testing.T
	ws   *websocket.Conn
	chat string
	done chan struct{}

	mu     sync.Mutex
	frames []serverFrame
	acked  map[string]bool
	texts  map[string]string
}

func dial(t *testing.T, hub *channeltest.Hub, token, since string) *client {
	t.Helper()
	ws, resp, err := websocket.Dial(channeltest.Soon(t), hub.PageURL()+"/ws", &websocket.DialOptions{HTTPClient: hub.HTTP})
	require.NoError(t, err)
	if resp.Body != nil {
		_ = resp.Body.Close()
	}
	ws.SetReadLimit(1 << 20)
	c := &client{t: t, ws: ws, chat: chatID(hub.InstanceID, token), done: make(chan struct{}),
		acked: map[string]bool{}, texts: map[string]string{}}
	c.send(clientFrame{Type: frameHello, Visitor: token, Since: since})
	go c.read()
	t.Cleanup(c.close)
	c.wait(func() bool { return c.count(frameReady) > 0 })
	return c
}

func (c *client) close() {
	_ = c.ws.CloseNow()
	<-c.done
}

func (c *client) send(f clientFrame) {
	raw, err := json.Marshal(f)
	require.NoError(c.t, err)
	require.NoError(c.t, c.ws.Write(context.Background(), websocket.MessageText, raw))
}

func (c *client) read() {
	defer close(c.done)
	for {
		_, data, err := c.ws.Read(context.Background())
		if err != nil {
			return
		}
		var f serverFrame
		if json.Unmarshal(data, &f) != nil {
			return
		}
		c.mu.Lock()
		c.frames = append(c.frames, f)
		repeat := f.Type == frameError && (f.Code == codeUnavailable || f.Code == codeRateLimited) && c.texts[f.ID] != ""
		if f.Type == frameAck {
			c.acked[f.ID] = true
		}
		text := c.texts[f.ID]
		c.mu.Unlock()
		if repeat {
			c.send(clientFrame{Type: frameMessage, ID: f.ID, Text: text})
		}
	}
}

func (c *client) write(id, text string) {
	c.mu.Lock()
	c.texts[id] = text
	c.mu.Unlock()
	c.send(clientFrame{Type: frameMessage, ID: id, Text: text})
}

func (c *client) all() []serverFrame {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]serverFrame(nil), c.frames...)
}

func (c *client) count(frameType string) int {
	n := 0
	for _, f := range c.all() {
		if f.Type == frameType {
			n++
		}
	}
	return n
}

func (c *client) wait(ok func() bool) {
	c.t.Helper()
	require.Eventually(c.t, ok, waitFor, tick)
}

// shown is what the page shows: ids once, in order.
func (c *client) shown() []channels.HistoryItem {
	var items []channels.HistoryItem
	seen := map[string]int{}
	add := func(it channels.HistoryItem) {
		if _, ok := seen[it.ID]; !ok && !it.Deleted {
			seen[it.ID] = len(items)
			items = append(items, it)
		}
	}
	for _, f := range c.all() {
		switch f.Type {
		case frameHistory:
			for _, it := range f.Messages {
				add(it)
			}
		case frameMessage:
			add(*f.Message)
		case frameEdit:
			if i, ok := seen[f.Message.ID]; ok {
				items[i].Content = f.Message.Content
			}
		}
	}
	return items
}

// The Platform of the conformance suite.

func openPlatform(t *testing.T, hub *channeltest.Hub) channeltest.Platform {
	hub.SetValues([]byte(`{"title":"Support"}`))
	return platform{dial(t, hub, testToken, "")}
}

type platform struct{ c *client }

func clientID(ref string) string { return "client-" + strings.ReplaceAll(ref, "_", "-") }

func (p platform) Chat() message.Chat { return message.Chat{ID: p.c.chat, Type: message.ChatDM} }

func (p platform) Deliver(ref, text string) { p.c.write(clientID(ref), text) }

func (p platform) Redeliver(ref string) {
	p.c.mu.Lock()
	text := p.c.texts[clientID(ref)]
	p.c.mu.Unlock()
	p.c.write(clientID(ref), text)
}

func (p platform) Acknowledged(ref string) bool {
	p.c.mu.Lock()
	defer p.c.mu.Unlock()
	return p.c.acked[clientID(ref)]
}

func (p platform) Sent() []channeltest.Sent {
	deleted := map[string]bool{}
	for _, f := range p.c.all() {
		if f.Type == frameDelete {
			deleted[f.ID] = true
		}
	}
	var sent []channeltest.Sent
	for _, it := range p.c.shown() {
		if it.Outbound {
			sent = append(sent, channeltest.Sent{ExternalID: it.ID, Text: it.Content.Text, Deleted: deleted[it.ID]})
		}
	}
	return sent
}

func get(t *testing.T, hub *channeltest.Hub, path string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, hub.PageURL()+path, nil)
	require.NoError(t, err)
	resp, err := hub.HTTP.Do(req)
	require.NoError(t, err)
	t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}
