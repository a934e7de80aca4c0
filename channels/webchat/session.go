package webchat

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/message"
)

// session hands bubbles to the pages that are open. It holds no connection
// itself: pages are served by any process, and reached through Live.
type session struct {
	live channels.Live
	sink atomic.Pointer[channels.Sink]
}

var (
	_ channels.Session = (*session)(nil)
	_ channels.Editor  = (*session)(nil)
	_ channels.Deleter = (*session)(nil)
	_ channels.Typer   = (*session)(nil)
)

// Start reports the instance active.
func (s *session) Start(_ context.Context, in channels.Sink) error {
	s.sink.Store(&in)
	in.State(channels.State{Status: channels.StatusActive})
	return nil
}

// Stop ends the session; later sends are not connected.
func (s *session) Stop(context.Context) error {
	if in := s.sink.Swap(nil); in != nil {
		(*in).State(channels.State{Status: channels.StatusInactive})
	}
	return nil
}

// Send shows a bubble. It is accepted once it was broadcast, also where no page
// is open: the stored message is what a page reads when it connects.
func (s *session) Send(ctx context.Context, out message.Outbound) (message.Receipt, error) {
	if !slices.Contains(sendable, out.Content.Type) {
		return message.Receipt{}, &channels.SendError{Kind: channels.ErrUnsupported, Certain: true,
			Reason: fmt.Sprintf("the chat page does not show content of type %q", out.Content.Type)}
	}
	if err := tooLong(out); err != nil {
		return message.Receipt{}, err
	}
	now := time.Now()
	if err := s.broadcast(ctx, out.Chat, serverFrame{Type: frameMessage, Message: outItem(out, now)}); err != nil {
		return message.Receipt{}, err
	}
	return message.Receipt{ExternalID: out.ID, At: now}, nil
}

// Edit replaces the content of a bubble. A page that does not know it has not
// been told of it yet, and reads it from the history.
func (s *session) Edit(ctx context.Context, out message.Outbound) (message.Receipt, error) {
	if err := tooLong(out); err != nil {
		return message.Receipt{}, err
	}
	if _, err := uuid.Parse(out.TargetID); err != nil {
		return message.Receipt{}, &channels.SendError{Kind: channels.ErrNotFound, Certain: true, Reason: "targetId names no message of this page"}
	}
	now := time.Now()
	item := outItem(out, now)
	item.ID = out.TargetID
	if err := s.broadcast(ctx, out.Chat, serverFrame{Type: frameEdit, Message: item}); err != nil {
		return message.Receipt{}, err
	}
	return message.Receipt{ExternalID: out.TargetID, At: now}, nil
}

// tooLong refuses what is over the limit that Info declares.
func tooLong(out message.Outbound) error {
	if n := utf8.RuneCountInString(out.Content.Text); n > maxShown {
		return &channels.SendError{Kind: channels.ErrTooLarge, Certain: true, Reason: fmt.Sprintf("the text has %d characters, more than %d", n, maxShown)}
	}
	return nil
}

// Delete removes a bubble.
func (s *session) Delete(ctx context.Context, out message.Outbound) error {
	return s.broadcast(ctx, out.Chat, serverFrame{Type: frameDelete, ID: out.TargetID})
}

// Typing shows that an answer is on its way.
func (s *session) Typing(ctx context.Context, chat message.Chat) error {
	return s.broadcast(ctx, chat, serverFrame{Type: frameTyping})
}

func (s *session) broadcast(ctx context.Context, chat message.Chat, f serverFrame) error {
	if s.sink.Load() == nil {
		return &channels.SendError{Kind: channels.ErrNotConnected, Certain: true, Reason: "the session is stopped"}
	}
	if !chatForm.MatchString(chat.ID) {
		return &channels.SendError{Kind: channels.ErrNotFound, Certain: true,
			Reason: "there is no such visitor: a web chat begins when somebody opens the page"}
	}
	if err := s.live.Broadcast(ctx, topic(chat.ID), f.encode()); err != nil {
		return &channels.SendError{Kind: channels.ErrTransient, Reason: "broadcasting to open pages: " + err.Error()}
	}
	return nil
}
