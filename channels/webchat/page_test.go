package webchat

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/channeltest"
	"github.com/omnihub/omni/channels/message"
)

func newHub(t *testing.T, values string) *channeltest.Hub {
	t.Helper()
	hub := channeltest.NewHub(t, Channel{})
	hub.SetValues([]byte(values))
	return hub
}

func TestPageIsServedWithAStrictPolicy(t *testing.T) {
	t.Parallel()
	hub := newHub(t, `{"title":"Ana & <script>alert(1)</script>","allowedOrigins":["https://*.example.com"]}`)
	for _, path := range []string{"", "/"} {
		resp := get(t, hub, path)
		require.Equal(t, http.StatusOK, resp.StatusCode)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Contains(t, string(body), "<title>Ana &amp; &lt;script&gt;alert(1)&lt;/script&gt;</title>")
		require.NotContains(t, string(body), "<script>alert")
		require.NotContains(t, string(body), "{{title}}")
		for _, hook := range []string{`<input id="message"`, `<button id="send"`, `data-role="log"`, `role="log"`, `<label for="message"`, `aria-live="polite"`} {
			require.Contains(t, string(body), hook)
		}
		policy := resp.Header.Get("Content-Security-Policy")
		require.Contains(t, policy, "default-src 'none'")
		require.Contains(t, policy, "frame-ancestors 'self' https://*.example.com")
		require.NotContains(t, policy, "unsafe")
		for _, part := range []struct{ open, close, hash string }{{"<style>", "</style>", styleHash}, {"<script>", "</script>", scriptHash}} {
			_, rest, _ := strings.Cut(string(body), part.open)
			inline, _, _ := strings.Cut(rest, part.close)
			require.Contains(t, policy, part.hash)
			require.Equal(t, part.hash, cspHash(inline), "the policy names what is really on the page")
		}
	}
	require.Equal(t, http.StatusNotFound, get(t, hub, "/elsewhere").StatusCode)
	require.Contains(t, pageHTML, "{{title}}")
	require.NotContains(t, pageJS, "innerHTML")
	require.NotContains(t, pageJS, "insertAdjacentHTML")
}

func TestSocketChecksTheOrigin(t *testing.T) {
	t.Parallel()
	hub := newHub(t, `{"allowedOrigins":["https://*.example.com","http://localhost:3000"]}`)
	for origin, ok := range map[string]bool{"": true, hub.URL: true, "https://shop.example.com": true, "http://localhost:3000": true,
		"http://shop.example.com": false, "https://example.com": false, "https://evil.test": false, "http://localhost:3001": false, "null": false} {
		h := http.Header{}
		if origin != "" {
			h.Set("Origin", origin)
		}
		ws, resp, err := websocket.Dial(channeltest.Soon(t), hub.PageURL()+"/ws", &websocket.DialOptions{HTTPClient: hub.HTTP, HTTPHeader: h})
		require.Equal(t, ok, err == nil, "%s: %v", origin, err)
		if err != nil {
			require.Equal(t, http.StatusForbidden, resp.StatusCode)
			continue
		}
		require.NoError(t, ws.CloseNow())
	}
}

func TestSocketWantsAProperHello(t *testing.T) {
	t.Parallel()
	hub := newHub(t, `{}`)
	for _, first := range []string{`{}`, `{"type":"message","id":"12345678","text":"x"}`, `not json`, `{"type":"hello","visitor":"short"}`,
		`{"type":"hello","visitor":"` + strings.Repeat("x", 129) + `"}`, `{"type":"hello","visitor":"` + testToken + `","since":"` + strings.Repeat("x", 65) + `"}`} {
		ws, _, err := websocket.Dial(channeltest.Soon(t), hub.PageURL()+"/ws", &websocket.DialOptions{HTTPClient: hub.HTTP})
		require.NoError(t, err)
		require.NoError(t, ws.Write(t.Context(), websocket.MessageText, []byte(first)))
		_, _, err = ws.Read(channeltest.Soon(t))
		require.Equal(t, websocket.StatusPolicyViolation, websocket.CloseStatus(err), first)
	}
	require.Zero(t, hub.Live.Listeners())
}

func TestVisitorsCannotReachEachOther(t *testing.T) {
	t.Parallel()
	hub := newHub(t, `{}`)
	s := hub.Start(t)
	ana, luis := dial(t, hub, testToken, ""), dial(t, hub, strings.Repeat("b", 32), "")
	require.NotEqual(t, ana.chat, luis.chat)
	require.NotContains(t, ana.chat, testToken)
	impostor := dial(t, hub, ana.chat[1:], "") // whoever knows the chat id is not its visitor
	require.NotEqual(t, ana.chat, impostor.chat)

	ana.write("same-id-0001", "from ana")
	luis.write("same-id-0001", "from luis")
	require.NoError(t, hub.Sink.Wait(channeltest.Soon(t), func() bool { return len(hub.Sink.Stored()) == 2 }), "ids are the visitor's own")

	_, err := s.Send(t.Context(), channeltest.Text(message.Chat{ID: ana.chat}, "for ana"))
	require.NoError(t, err)
	ana.wait(func() bool { return len(ana.shown()) == 2 })
	_, err = s.Send(t.Context(), channeltest.Text(message.Chat{ID: luis.chat}, "for luis"))
	require.NoError(t, err)
	luis.wait(func() bool { return len(luis.shown()) == 2 })
	require.Equal(t, "for luis", luis.shown()[1].Content.Text)
	require.Empty(t, impostor.shown())

	_, err = s.Send(t.Context(), channeltest.Text(message.Chat{ID: "c1"}, "for nobody"))
	var e *channels.SendError
	require.ErrorAs(t, err, &e)
	require.Equal(t, channels.ErrNotFound, e.Kind)
}

func TestOtherTabsSeeWhatTheVisitorWrites(t *testing.T) {
	t.Parallel()
	hub := newHub(t, `{}`)
	one, two := dial(t, hub, testToken, ""), dial(t, hub, testToken, "")
	one.write("client-0001", "hello")
	two.wait(func() bool { return len(two.shown()) == 1 })
	it := two.shown()[0]
	require.False(t, it.Outbound)
	require.Equal(t, "client-0001", it.ClientID)
	require.Equal(t, hub.Sink.Stored()[0].Ack.MessageID, it.ID)
	require.True(t, strings.HasPrefix(hub.Sink.Stored()[0].Event.Sender.Name, "Visitor "))
}

func item(i int, outbound bool, chat string) channels.HistoryItem {
	it := channels.HistoryItem{ID: fmt.Sprintf("m-%03d", i), Outbound: outbound, CreatedAt: time.Now(),
		Content: message.Content{Type: message.TypeText, Text: fmt.Sprint("text ", i)}}
	if !outbound {
		it.ClientID = eventID(chat, fmt.Sprintf("client-%03d", i))
	}
	return it
}

func TestHistoryIsReadOnConnecting(t *testing.T) {
	t.Parallel()
	hub := newHub(t, `{}`)
	chat := chatID(hub.InstanceID, testToken)
	for i := range 250 {
		hub.History.Add(chat, item(i, i%2 == 1, chat))
	}
	fresh := dial(t, hub, testToken, "")
	require.Len(t, fresh.shown(), historyPage, "a new page reads the newest")
	require.Equal(t, "m-150", fresh.shown()[0].ID)
	require.Equal(t, "client-150", fresh.shown()[0].ClientID, "the page knows its own id")

	back := dial(t, hub, testToken, "m-009")
	require.Len(t, back.shown(), 241, "a page that comes back reads everything it missed")
	require.Equal(t, "m-009", back.shown()[0].ID)
	require.Equal(t, "m-249", back.shown()[240].ID)
	sent := 0
	for _, f := range back.all() {
		sent += len(f.Messages)
	}
	require.Equal(t, 241, sent, "each once, over all pages")
}

// A page that comes back reads what was edited, or taken back, meanwhile: also
// of the newest message that it has.
func TestEditsAreReadOnComingBack(t *testing.T) {
	t.Parallel()
	hub := newHub(t, `{}`)
	chat := chatID(hub.InstanceID, testToken)
	for i := range 3 {
		hub.History.Add(chat, item(i, true, chat))
	}
	edited, gone := item(2, true, chat), item(1, true, chat)
	edited.Content.Text = "the whole answer"
	gone.Content, gone.Deleted = message.Content{}, true
	hub.History.Edit(chat, edited)
	hub.History.Edit(chat, gone)
	back := dial(t, hub, testToken, "m-000")
	require.Len(t, back.shown(), 2)
	require.Equal(t, "the whole answer", back.shown()[1].Content.Text)
	last := dial(t, hub, testToken, "m-002")
	require.Len(t, last.shown(), 1)
	require.Equal(t, "the whole answer", last.shown()[0].Content.Text)
	lost := dial(t, hub, testToken, "m-999")
	require.Len(t, lost.shown(), 2, "whoever asks from a message that is gone reads the newest")
}

// What is broadcast while the history is being read is shown once, after it.
func TestNothingIsLostBetweenHistoryAndLive(t *testing.T) {
	t.Parallel()
	hub := newHub(t, `{}`)
	s := hub.Start(t)
	chat := chatID(hub.InstanceID, testToken)
	reads := 0
	hub.History.OnRead(func() {
		reads++
		if reads > 1 {
			return
		}
		for i := range 3 {
			out := channeltest.Text(message.Chat{ID: chat}, fmt.Sprint("text ", i))
			out.ID = fmt.Sprintf("m-%03d", i)
			if i < 2 { // the third is not in the history that this read sees
				hub.History.Add(chat, item(i, true, chat))
			}
			_, err := s.Send(t.Context(), out)
			require.NoError(t, err)
		}
	})
	c := dial(t, hub, testToken, "")
	c.wait(func() bool { return len(c.shown()) == 3 })
	for i, it := range c.shown() {
		require.Equal(t, fmt.Sprintf("m-%03d", i), it.ID)
	}
	require.Equal(t, 1, c.count(frameMessage), "what the history has is not sent twice")
}

func TestConnectionEndsWhereHistoryCannotBeRead(t *testing.T) {
	t.Parallel()
	hub := newHub(t, `{}`)
	hub.History.Fail(errors.New("the database is away"))
	ws, _, err := websocket.Dial(channeltest.Soon(t), hub.PageURL()+"/ws", &websocket.DialOptions{HTTPClient: hub.HTTP})
	require.NoError(t, err)
	require.NoError(t, ws.Write(t.Context(), websocket.MessageText, []byte(`{"type":"hello","visitor":"`+testToken+`"}`)))
	_, _, err = ws.Read(channeltest.Soon(t))
	require.Equal(t, websocket.StatusTryAgainLater, websocket.CloseStatus(err))
}

func TestBadMessagesAreRefusedAlone(t *testing.T) {
	t.Parallel()
	hub := newHub(t, `{}`)
	c := dial(t, hub, testToken, "")
	for id, text := range map[string]string{"bad": "hi", "client 0001": "hi", "client-empty": " \x00", "client-long": strings.Repeat("x", maxText+1)} {
		c.send(clientFrame{Type: frameMessage, ID: id, Text: text})
	}
	c.wait(func() bool { return c.count(frameError) == 4 })
	c.write("client-good", "hi\x00 there")
	c.wait(func() bool { return c.count(frameAck) == 1 })
	require.Equal(t, []string{"hi there"}, hub.Sink.Texts())
	for _, st := range hub.Sink.Stored() {
		require.NotContains(t, string(st.Raw), testToken)
	}
}

func TestMessagesAreRateLimited(t *testing.T) {
	t.Parallel()
	hub := newHub(t, `{}`)
	c := dial(t, hub, testToken, "")
	for i := range 60 {
		c.send(clientFrame{Type: frameMessage, ID: fmt.Sprintf("client-%04d", i), Text: "x"})
	}
	c.wait(func() bool { return c.count(frameError)+c.count(frameAck) == 60 })
	require.Positive(t, c.count(frameError))
	for _, f := range c.all() {
		if f.Type == frameError {
			require.Equal(t, codeRateLimited, f.Code)
			require.Positive(t, f.RetryAfterMs)
		}
	}
}

func TestTypingIsReported(t *testing.T) {
	t.Parallel()
	hub := newHub(t, `{}`)
	s := hub.Start(t)
	c := dial(t, hub, testToken, "")
	for range 5 {
		c.send(clientFrame{Type: frameTyping})
	}
	c.write("client-0001", "hello")
	c.wait(func() bool { return c.count(frameAck) == 1 })
	require.Len(t, hub.Sink.Stored(), 2, "typing is reported once in a while")
	require.Equal(t, message.KindTyping, hub.Sink.Stored()[0].Event.Kind)
	require.NoError(t, s.(channels.Typer).Typing(t.Context(), message.Chat{ID: c.chat}))
	c.wait(func() bool { return c.count(frameTyping) == 1 })
}

func TestSendIsUncertainWhileLiveIsDown(t *testing.T) {
	t.Parallel()
	hub := newHub(t, `{}`)
	s := hub.Start(t)
	hub.Live.SetDown(true)
	_, err := s.Send(t.Context(), channeltest.Text(message.Chat{ID: chatID(hub.InstanceID, testToken)}, "x"))
	var e *channels.SendError
	require.ErrorAs(t, err, &e)
	require.Equal(t, channels.ErrTransient, e.Kind)
	require.False(t, e.Certain)
}

func TestPageEndsWithItsConnection(t *testing.T) {
	t.Parallel()
	hub := newHub(t, `{}`)
	c := dial(t, hub, testToken, "")
	require.Equal(t, 1, hub.Live.Listeners())
	c.close()
	require.Eventually(t, func() bool { return hub.Live.Listeners() == 0 }, waitFor, tick)
}

// A pressed button is a message that says what the button says, and which it was.
func TestPressedButtonsAreNamed(t *testing.T) {
	t.Parallel()
	hub := newHub(t, `{}`)
	c := dial(t, hub, testToken, "")
	c.send(clientFrame{Type: frameMessage, ID: "client-0001", Text: "Yes, please", Button: "yes\x00"})
	c.wait(func() bool { return c.count(frameAck) == 1 })
	require.Equal(t, message.Content{Type: message.TypeText, Text: "Yes, please", Buttons: []message.Button{{ID: "yes", Text: "Yes, please"}}},
		hub.Sink.Stored()[0].Event.Content)
	c.send(clientFrame{Type: frameMessage, ID: "client-0002", Text: "x", Button: strings.Repeat("x", maxButton+1)})
	c.wait(func() bool { return c.count(frameError) == 1 })
}
