package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// speaker is a model that says what the test gives it, piece by piece.
type speaker struct {
	*httptest.Server
	pieces chan string // closed: the answer is whole
}

func newSpeaker(t *testing.T) *speaker {
	t.Helper()
	s := &speaker{pieces: make(chan string, 100)}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.(http.Flusher).Flush() //nolint:forcetypeassert // the server's own
		for {
			select {
			case piece, more := <-s.pieces:
				if !more {
					_, _ = io.WriteString(w, `data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`+"\n\ndata: [DONE]\n\n")
					return
				}
				b, _ := json.Marshal(object{"model": "test", "choices": []object{{"index": 0, "delta": object{"content": piece}}}})
				_, _ = fmt.Fprintf(w, "data: %s\n\n", b)
				w.(http.Flusher).Flush() //nolint:forcetypeassert // the server's own
			case <-r.Context().Done():
				return
			}
		}
	}))
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s
}

// offline cuts the page's connection and keeps it from coming back until online.
func (p *page) offline() {
	p.t.Helper()
	p.run(`const send = WebSocket.prototype.send;
		WebSocket.prototype.send = function (...a) { window.connection = this; return send.apply(this, a); }; true`)
	require.Eventually(p.t, func() bool {
		p.do(chromedp.SendKeys(chromedp.CSS("#message"), "x")) // which tells the hub, once in a while, that somebody types
		return p.run(`!!window.connection`)
	}, browserWait, 200*time.Millisecond)
	p.run(`window.real = WebSocket; window.WebSocket = function () {
		const dead = { readyState: 3, send() {}, close() {} };
		setTimeout(() => dead.onclose && dead.onclose(), 10);
		return dead; }; window.connection.close(); true`)
	p.status("Reconnecting…", browserWait)
}

func (p *page) online() { p.run(`window.WebSocket = window.real; true`) }

func (p *page) run(expression string) bool {
	p.t.Helper()
	return read(p, chromedp.Evaluate[bool](expression))
}

// A visitor sees the answer grow while it is said, in one bubble; the page loses
// its connection, comes back, and shows what was written meanwhile. Buttons are
// pressed, and the program behind is told which.
func TestChatPageShowsAnswersGrow(t *testing.T) {
	t.Parallel()
	p := newPage(t)
	h := newHub(t)
	agent := newSpeaker(t)
	var created struct{ ID string }
	h.call(http.MethodPost, "/api/v1/instances", object{"name": "site", "channel": "webchat",
		"agent": object{"provider": "openai", "apiUrl": agent.URL + "/v1", "apiKey": "sk-test", "model": "test", "streaming": true}}, &created)
	require.Eventually(t, func() bool { status, _ := h.get("/chat/" + created.ID); return status == http.StatusOK }, 20*time.Second, 20*time.Millisecond)
	p.do(chromedp.Navigate(h.url("/chat/"+created.ID)), chromedp.WaitVisible(chromedp.CSS("#message")))
	p.status("Connected", browserWait)
	p.says("Tell me a story")
	asked := visitor("Tell me a story")
	p.shows(browserWait, asked)

	agent.pieces <- "Once upon"
	p.shows(browserWait, asked, answer("Once upon"))
	agent.pieces <- " a time there was"
	p.shows(browserWait, asked, answer("Once upon a time there was"))
	p.offline()
	agent.pieces <- " a hub"
	agent.pieces <- " that forgot nothing."
	close(agent.pieces)
	const whole = "Once upon a time there was a hub that forgot nothing."
	var said []struct {
		ID, Status, ChatID string
		Content            struct{ Text string }
	}
	require.Eventually(t, func() bool {
		h.call(http.MethodGet, "/api/v1/messages?direction=outbound&instanceId="+created.ID, nil, &said)
		return len(said) == 1 && said[0].Status == "sent" && said[0].Content.Text == whole
	}, browserWait, 50*time.Millisecond)
	require.Equal(t, []bubble{asked, answer("Once upon a time there was")}, p.bubbles(), "the page knows nothing of it yet")
	p.online()
	p.status("Connected", browserWait)
	p.shows(browserWait, asked, answer(whole))

	h.call(http.MethodPatch, "/api/v1/instances/"+created.ID, object{"agent": object{"provider": "echo", "streaming": false}}, nil)
	h.call(http.MethodPost, "/api/v1/messages?wait=10", object{"instanceId": created.ID, "chatId": said[0].ChatID,
		"content": object{"type": "buttons", "text": "Another one?", "buttons": []object{{"id": "more", "text": "Yes, please"}, {"id": "stop", "text": "No"}}}}, nil)
	p.do(chromedp.WaitVisible(chromedp.CSS(".choices button:first-child")), chromedp.Click(chromedp.CSS(".choices button:first-child")))
	p.shows(browserWait, asked, answer(whole), answer("Another one?"), visitor("Yes, please"), answer("Yes, please"))
	var heard []struct {
		Content struct {
			Text    string
			Buttons []struct{ ID, Text string }
		}
	}
	h.call(http.MethodGet, "/api/v1/messages?direction=inbound&limit=1&instanceId="+created.ID, nil, &heard)
	require.Equal(t, "Yes, please", heard[0].Content.Text)
	require.Equal(t, "more", heard[0].Content.Buttons[0].ID)
	p.fits()
}
