package channeltest

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels/message"
)

func testStoredBeforeAcknowledged(t *testing.T, h Harness) {
	hub, p := h.open(t)
	hub.Start(t)
	release := hub.Sink.Hold()
	defer release()
	p.Deliver("a", "hello")
	require.NoError(t, hub.Sink.Wait(Soon(t), func() bool { return hub.Sink.Held() > 0 }))
	require.False(t, p.Acknowledged("a"), "acknowledged before it was stored")
	release()
	eventually(t, func() bool { return p.Acknowledged("a") }, "stored, but never acknowledged")
	require.Equal(t, []string{"hello"}, hub.Sink.Texts())

	in := hub.Sink.Stored()[0]
	require.NotEmpty(t, in.Event.ID)
	require.Equal(t, message.KindMessage, in.Event.Kind)
	require.Equal(t, p.Chat().ID, in.Event.Chat.ID)
	require.Equal(t, message.ChatDM, in.Event.Chat.Type)
	require.NotEmpty(t, in.Event.Sender.ID)
	require.False(t, in.Event.IsFromMe)
	require.Equal(t, message.TypeText, in.Event.Content.Type)
	require.WithinDuration(t, time.Now(), in.Event.Timestamp, time.Minute)
	require.NotEmpty(t, in.Raw, "the platform's payload is kept")
}

func testRedeliveryAfterFailure(t *testing.T, h Harness) {
	hub, p := h.open(t)
	hub.Start(t)
	hub.Sink.FailNext(1)
	release := hub.Sink.Hold()
	defer release()
	p.Deliver("a", "hello")
	require.NoError(t, hub.Sink.Wait(Soon(t), func() bool { return hub.Sink.Held() > 0 }))
	require.GreaterOrEqual(t, hub.Sink.Attempts(), 2)
	require.False(t, p.Acknowledged("a"), "acknowledged although it was not stored")
	release()
	eventually(t, func() bool { return p.Acknowledged("a") }, "never acknowledged")
	require.Equal(t, []string{"hello"}, hub.Sink.Texts())
}

func testDuplicate(t *testing.T, h Harness) {
	hub, p := h.open(t)
	hub.Start(t)
	p.Deliver("a", "hello")
	eventually(t, func() bool { return p.Acknowledged("a") }, "never acknowledged")
	before := hub.Sink.Attempts()
	p.Redeliver("a")
	require.NoError(t, hub.Sink.Wait(Soon(t), func() bool { return hub.Sink.Attempts() > before }))
	p.Deliver("b", "another")
	require.NoError(t, hub.Sink.Wait(Soon(t), func() bool { return len(hub.Sink.Stored()) > 1 }))
	require.Equal(t, []string{"hello", "another"}, hub.Sink.Texts())
}

func testInboundOrder(t *testing.T, h Harness) {
	hub, p := h.open(t)
	hub.Start(t)
	var want []string
	for i := range 20 {
		ref := fmt.Sprintf("m%d", i)
		want = append(want, ref)
		p.Deliver(ref, ref)
		eventually(t, func() bool { return p.Acknowledged(ref) }, "never acknowledged")
	}
	require.Equal(t, want, hub.Sink.Texts())
}

// eventually waits for what a platform does by itself.
func eventually(t *testing.T, ok func() bool, msg string) {
	t.Helper()
	require.Eventually(t, ok, 20*time.Second, 2*time.Millisecond, msg)
}
