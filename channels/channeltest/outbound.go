package channeltest

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/message"
)

// Text makes an outbound bubble of a text.
func Text(chat message.Chat, text string) message.Outbound {
	id := uuid.NewString()
	return message.Outbound{ID: id, Key: id, Kind: message.KindMessage, Chat: chat,
		Content: message.Content{Type: message.TypeText, Text: text}, Part: message.Part{Count: 1}}
}

// begin starts a session on a platform where a person has written once: some
// platforms let nobody be written to before that.
func begin(t *testing.T, h Harness) (*Hub, Platform, channels.Session) {
	t.Helper()
	hub, p := h.open(t)
	s := hub.Start(t)
	p.Deliver("begin", "hello")
	eventually(t, func() bool { return p.Acknowledged("begin") }, "never acknowledged")
	return hub, p, s
}

func shown(p Platform) []string {
	var texts []string
	for _, s := range p.Sent() {
		if !s.Deleted {
			texts = append(texts, s.Text)
		}
	}
	return texts
}

func testSend(t *testing.T, h Harness) {
	_, p, s := begin(t, h)
	var ids []string
	for i, text := range []string{"first", "second", "third"} {
		out := Text(p.Chat(), text)
		out.Part = message.Part{Index: i, Count: 3}
		r, err := s.Send(t.Context(), out)
		require.NoError(t, err)
		require.NotEmpty(t, r.ExternalID)
		require.NotContains(t, ids, r.ExternalID, "every bubble has an id of its own")
		require.WithinDuration(t, time.Now(), r.At, time.Minute)
		ids = append(ids, r.ExternalID)
	}
	eventually(t, func() bool { return slices.Equal(shown(p), []string{"first", "second", "third"}) }, "three bubbles in order")
	for i, sent := range p.Sent() {
		require.Equal(t, ids[i], sent.ExternalID)
	}
}

func testIdempotentSend(t *testing.T, h Harness) {
	if !h.Channel.Info().Capabilities.IdempotentSend {
		t.Skip("the channel does not declare it")
	}
	_, p, s := begin(t, h)
	out := Text(p.Chat(), "once")
	first, err := s.Send(t.Context(), out)
	require.NoError(t, err)
	again, err := s.Send(t.Context(), out)
	require.NoError(t, err)
	require.Equal(t, first.ExternalID, again.ExternalID)
	_, err = s.Send(t.Context(), Text(p.Chat(), "twice"))
	require.NoError(t, err)
	eventually(t, func() bool { return slices.Equal(shown(p), []string{"once", "twice"}) }, "the same key shows one bubble")
}

func testEditDelete(t *testing.T, h Harness) {
	c := h.Channel.Info().Capabilities
	if !c.Edit && !c.Delete {
		t.Skip("the channel can neither edit nor delete")
	}
	_, p, s := begin(t, h)
	r, err := s.Send(t.Context(), Text(p.Chat(), "before"))
	require.NoError(t, err)
	if c.Edit {
		out := Text(p.Chat(), "after")
		out.Kind, out.TargetID = message.KindEdit, r.ExternalID
		_, err = s.(channels.Editor).Edit(t.Context(), out)
		require.NoError(t, err)
		eventually(t, func() bool { return slices.Equal(shown(p), []string{"after"}) }, "an edited bubble")
	}
	if c.Delete {
		out := message.Outbound{ID: uuid.NewString(), Key: uuid.NewString(), Kind: message.KindDelete, Chat: p.Chat(), TargetID: r.ExternalID}
		require.NoError(t, s.(channels.Deleter).Delete(t.Context(), out))
		eventually(t, func() bool { return len(shown(p)) == 0 }, "a deleted bubble")
	}
}

func testTyping(t *testing.T, h Harness) {
	if !h.Channel.Info().Capabilities.Typing {
		t.Skip("the channel does not declare it")
	}
	_, p, s := begin(t, h)
	require.NoError(t, s.(channels.Typer).Typing(t.Context(), p.Chat()))
	require.Empty(t, shown(p))
}

func testSendAfterStop(t *testing.T, h Harness) {
	_, p, s := begin(t, h)
	require.NoError(t, s.Stop(t.Context()))
	_, err := s.Send(t.Context(), Text(p.Chat(), "late"))
	e := sendError(t, err)
	require.Equal(t, channels.ErrNotConnected, e.Kind)
	require.True(t, e.Certain)
	require.Empty(t, p.Sent())
}

func testUnsupported(t *testing.T, h Harness) {
	can := h.Channel.Info().Capabilities.Send
	_, p, s := begin(t, h)
	for _, ct := range message.ContentTypes() {
		if slices.Contains(can, ct) || ct == message.TypeReaction {
			continue
		}
		out := Text(p.Chat(), "")
		out.Content = message.Content{Type: ct}
		_, err := s.Send(t.Context(), out)
		e := sendError(t, err)
		require.Equal(t, channels.ErrUnsupported, e.Kind, "content %s", ct)
		require.True(t, e.Certain)
	}
	require.Empty(t, p.Sent())
}

func sendError(t *testing.T, err error) *channels.SendError {
	t.Helper()
	var e *channels.SendError
	require.ErrorAs(t, err, &e, "errors of a send are typed")
	require.NotEmpty(t, e.Reason)
	return e
}

func testErrors(t *testing.T, h Harness) {
	tests := []struct {
		fault Fault
		check func(t *testing.T, e *channels.SendError, idempotent bool)
	}{
		{FaultRateLimited, func(t *testing.T, e *channels.SendError, _ bool) {
			require.Equal(t, channels.ErrRateLimited, e.Kind)
			require.True(t, e.Certain)
			require.InDelta(t, 3*time.Second, e.RetryAfter, float64(time.Second))
		}},
		{FaultServerError, uncertain},
		{FaultDropAfter, uncertain},
		{FaultRejected, func(t *testing.T, e *channels.SendError, _ bool) {
			require.False(t, e.Kind.Retryable(), "%s", e.Kind)
			require.True(t, e.Certain)
		}},
		{FaultUnreachable, func(t *testing.T, e *channels.SendError, _ bool) {
			require.Equal(t, channels.ErrTransient, e.Kind)
			require.True(t, e.Certain, "what was never dialled was never sent")
		}},
	}
	for _, tt := range tests {
		t.Run(string(tt.fault), func(t *testing.T) {
			t.Parallel()
			hub, p, s := begin(t, h)
			injector, ok := p.(FaultInjector)
			if !ok {
				t.Skip("sends of this platform do not fail")
			}
			injector.Fault(tt.fault)
			if tt.fault == FaultUnreachable {
				// A connection that died while idle would be written to once more.
				hub.HTTP.CloseIdleConnections()
			}
			_, err := s.Send(t.Context(), Text(p.Chat(), "x"))
			tt.check(t, sendError(t, err), h.Channel.Info().Capabilities.IdempotentSend)
		})
	}
}

// uncertain checks the error of a send that may have happened: only a channel
// that takes client ids may call it retryable.
func uncertain(t *testing.T, e *channels.SendError, idempotent bool) {
	require.False(t, e.Certain)
	if idempotent {
		require.Equal(t, channels.ErrTransient, e.Kind)
	} else {
		require.Equal(t, channels.ErrUnknown, e.Kind)
	}
}

func testCancel(t *testing.T, h Harness) {
	_, p, s := begin(t, h)
	injector, ok := p.(FaultInjector)
	if !ok {
		t.Skip("sends of this platform do not wait")
	}
	injector.Fault(FaultSlow)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := s.Send(ctx, Text(p.Chat(), "x"))
	require.Less(t, time.Since(began), 5*time.Second, "the context was not heeded")
	var e *channels.SendError
	if !errors.As(err, &e) {
		require.Error(t, err)
		return // any other error counts as unknown
	}
	uncertain(t, e, h.Channel.Info().Capabilities.IdempotentSend)
}
