package webchat

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"strings"
	"time"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/message"
)

// read takes frames until the page leaves. Messages are taken one after the
// other, so they are stored in the order in which they were written.
func (c *connection) read(ctx context.Context) {
	for {
		f, err := c.readFrame(ctx)
		if err != nil {
			return
		}
		switch f.Type {
		case frameMessage:
			if err := c.push(ctx, c.onMessage(ctx, f)); err != nil {
				return
			}
		case frameTyping:
			c.typing.Do(func() { c.onTyping(ctx) })
		default: // a newer page may say more
		}
	}
}

// onMessage stores what a visitor wrote and returns the answer.
func (c *connection) onMessage(ctx context.Context, f clientFrame) serverFrame {
	now := time.Now()
	refuse := func(code, detail string) serverFrame {
		return serverFrame{Type: frameError, ID: f.ID, Code: code, Detail: detail}
	}
	in, code, detail := inbound(c.chat, f, now)
	if code != "" {
		return refuse(code, detail)
	}
	later := func(wait time.Duration, detail string) serverFrame {
		r := refuse(codeRateLimited, detail)
		r.RetryAfterMs = wait.Milliseconds() + 1
		return r
	}
	if !c.limiter.AllowN(now, 1) {
		return later(time.Second, "too many messages at once")
	}
	if wait := c.page.addresses.write(c.address, now); wait > 0 {
		return later(wait, "too many messages from this address")
	}
	wait, err := c.begin(ctx, now)
	if err != nil {
		return refuse(codeUnavailable, "the message could not be stored yet")
	}
	if wait > 0 {
		return later(wait, "too many new visitors from this address")
	}
	ack, err := c.page.deps.Sink.Publish(ctx, in, rawOf(f))
	if err != nil {
		if ctx.Err() == nil {
			c.page.deps.Log.Warn("storing a chat message", "error", err)
		}
		return refuse(codeUnavailable, "the message could not be stored yet")
	}
	if !ack.Duplicate {
		c.tellOtherPages(ctx, in, f, ack)
	}
	return serverFrame{Type: frameAck, ID: f.ID, MessageID: ack.MessageID}
}

// begin takes, for a visitor who has never written, a place among the new ones
// of their address; wait says how long there is none. Tokens cost nothing, and
// each begins a chat, a person, and talks with the agent.
func (c *connection) begin(ctx context.Context, now time.Time) (wait time.Duration, err error) {
	if c.known {
		return 0, nil
	}
	items, err := c.page.deps.History.Since(ctx, c.chat, "", 1)
	if err != nil {
		if ctx.Err() == nil {
			c.page.deps.Log.Warn("reading chat history", "error", err)
		}
		return 0, err
	}
	if len(items) == 0 {
		if wait = c.page.addresses.begin(c.address, now); wait > 0 {
			return wait, nil
		}
	}
	c.known = true
	return 0, nil
}

// tellOtherPages shows the message in the visitor's other tabs.
func (c *connection) tellOtherPages(ctx context.Context, in message.Inbound, f clientFrame, ack channels.Ack) {
	frame := serverFrame{Type: frameMessage, Message: &channels.HistoryItem{ID: ack.MessageID, Content: in.Content,
		ClientID: f.ID, CreatedAt: in.Timestamp}}
	if err := c.page.deps.Live.Broadcast(ctx, topic(c.chat), frame.encode()); err != nil {
		c.page.deps.Log.Debug("showing a chat message in other tabs", "error", err)
	}
}

func (c *connection) onTyping(ctx context.Context) {
	in := message.Inbound{ID: eventID(c.chat, rand.Text()), Kind: message.KindTyping, Timestamp: time.Now().UTC(),
		Chat: message.Chat{ID: c.chat, Type: message.ChatDM}, Sender: sender(c.chat)}
	if _, err := c.page.deps.Sink.Publish(ctx, in, nil); err != nil {
		c.page.deps.Log.Debug("reporting that a visitor types", "error", err)
	}
}

// inbound normalises a message frame. A code says why it is refused.
func inbound(chat string, f clientFrame, now time.Time) (in message.Inbound, code, detail string) {
	if !clientForm.MatchString(f.ID) {
		return in, codeInvalid, "id must be 8 to 64 letters, digits and hyphens"
	}
	if len(f.Text) > maxText {
		return in, codeTooLarge, "the message is too long"
	}
	text, button := clean(f.Text), clean(f.Button)
	if len(button) > maxButton {
		return in, codeTooLarge, "no button has such an id"
	}
	if strings.TrimSpace(text) == "" {
		return in, codeInvalid, "the message is empty"
	}
	content := message.Content{Type: message.TypeText, Text: text}
	if button != "" {
		content.Buttons = []message.Button{{ID: button, Text: text}}
	}
	return message.Inbound{ID: eventID(chat, f.ID), Kind: message.KindMessage, Timestamp: now.UTC(),
		Chat: message.Chat{ID: chat, Type: message.ChatDM}, Sender: sender(chat),
		Content: content}, "", ""
}

// clean takes out what no store takes.
func clean(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "")
}

func sender(chat string) message.Sender { return message.Sender{ID: chat, Name: visitorName(chat)} }

// rawOf is the frame as it is kept: a message frame never has the token.
func rawOf(f clientFrame) []byte {
	f.Visitor = ""
	raw, err := json.Marshal(f)
	if err != nil {
		return nil // strings only: cannot happen, and raw is a courtesy
	}
	return raw
}
