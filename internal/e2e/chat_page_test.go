package e2e

import (
	"flag"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// screenshotInto, if set, is where TestChatPage keeps a picture of the page.
var screenshotInto = flag.String("screenshot", "", "file to write a screenshot of the chat page to (docs/img/chat.png)")

// bubble is one message as the page shows it.
type bubble struct {
	Direction string `json:"direction"` // in: the visitor's, out: the answer
	Text      string `json:"text"`
	State     string `json:"state"` // of the visitor's: pending, sent, failed
}

func visitor(text string) bubble { return bubble{"in", text, "sent"} }
func answer(text string) bubble  { return bubble{Direction: "out", Text: text} }

// bubbles reads the log from top to bottom.
func (p *page) bubbles() []bubble {
	p.t.Helper()
	return read(p, chromedp.Evaluate[[]bubble](`[...document.querySelectorAll("#log .bubble")].map((b) => ({
		direction: b.classList.contains("out") ? "out" : "in",
		text: b.querySelector(".body").textContent,
		state: b.classList.contains("out") ? "" : b.dataset.state}))`))
}

// shows waits until the page shows exactly these bubbles.
func (p *page) shows(within time.Duration, want ...bubble) {
	p.t.Helper()
	var have []bubble
	require.Eventually(p.t, func() bool {
		have = p.bubbles()
		return len(have) >= len(want) && have[len(want)-1] == want[len(want)-1]
	}, within, 50*time.Millisecond, "the page shows %q", want)
	require.Equal(p.t, want, have)
}

// says types a text as a person does and presses the button.
func (p *page) says(text string) {
	p.t.Helper()
	p.do(chromedp.SendKeys(chromedp.CSS("#message"), text), chromedp.Click(chromedp.CSS("#send")))
}

// status waits for the line under the title.
func (p *page) status(want string, within time.Duration) {
	p.t.Helper()
	require.Eventually(p.t, func() bool {
		return read(p, chromedp.Evaluate[string](`document.getElementById("status").textContent`)) == want
	}, within, 50*time.Millisecond, "the page says %q", want)
}

// fits fails where a part of the page is wider than the phone.
func (p *page) fits() {
	p.t.Helper()
	width := func(expression string) int { return read(p, chromedp.Evaluate[int](expression)) }
	require.Equal(p.t, phoneWidth, width(`document.documentElement.clientWidth`))
	for _, part := range []string{"document.documentElement", "document.body", `document.getElementById("log")`} {
		require.LessOrEqual(p.t, width(part+`.scrollWidth`), phoneWidth, "%s scrolls to the side", part)
	}
}

// A person opens the chat page on a phone, writes and reads the answer;
// reloads; and goes on writing while the hub is killed and comes back.
func TestChatPage(t *testing.T) {
	p := newPage(t)
	h := newHub(t)
	var created struct{ ID string }
	h.call(http.MethodPost, "/api/v1/instances", object{"name": "site", "channel": "webchat",
		"channelConfig": object{"title": "Ask us"}, "agent": object{"provider": "echo"}}, &created)
	url := h.url("/chat/" + created.ID)
	require.Eventually(t, func() bool { status, _ := h.get("/chat/" + created.ID); return status == http.StatusOK }, 20*time.Second, 20*time.Millisecond)

	p.do(chromedp.Navigate(url), chromedp.WaitVisible(chromedp.CSS("#message")))
	p.status("Connected", browserWait)
	p.says("Are you open on Sunday?")
	said := []bubble{visitor("Are you open on Sunday?"), answer("Are you open on Sunday?")}
	p.shows(browserWait, said...)
	if *screenshotInto != "" {
		p.screenshot(*screenshotInto)
	}
	p.fits()

	p.do(chromedp.Reload())
	p.status("Connected", browserWait)
	p.shows(browserWait, said...)

	h.kill()
	p.status("Reconnecting…", browserWait)
	// Long, without a blank: it must wrap, too.
	typed := "written-while-the-hub-was-down-" + strings.Repeat("0123456789", 12)
	p.says(typed)
	p.shows(browserWait, append(said, bubble{"in", typed, "pending"})...)
	h.start()
	said = append(said, visitor(typed), answer(typed))
	p.shows(answeredWithin+browserWait, said...)
	p.status("Connected", browserWait)
	p.fits()

	// A second answer to it would have to come before the next one.
	p.says("Thanks")
	said = append(said, visitor("Thanks"), answer("Thanks"))
	p.shows(browserWait, said...)
	p.do(chromedp.Reload())
	p.shows(browserWait, said...)
}
