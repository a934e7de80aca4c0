package channeltest

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels"
)

func testStartStop(t *testing.T, h Harness) {
	hub, p := h.open(t)
	s := hub.Start(t)
	for i, st := range hub.Sink.States() {
		require.Contains(t, []channels.Status{channels.StatusConnecting, channels.StatusActive}, st.Status, "state %d", i)
	}
	require.NoError(t, s.Stop(t.Context()))
	require.Equal(t, channels.StatusInactive, hub.Sink.LastStatus())
	reports := len(hub.Sink.States())

	require.NoError(t, s.Stop(t.Context()), "a second stop is nothing")
	require.Len(t, hub.Sink.States(), reports, "a second stop reports nothing")
	if _, webhook := h.Channel.(channels.WebhookReceiver); !webhook && !h.Channel.Info().Capabilities.Page {
		p.Deliver("late", "after the stop")
		require.Empty(t, hub.Sink.Texts(), "a stopped session takes nothing")
	}
}

func testStopWithoutStart(t *testing.T, h Harness) {
	hub, _ := h.open(t)
	s := hub.Open(t)
	require.NoError(t, s.Stop(t.Context()))
	require.NoError(t, s.Stop(t.Context()))
}

func testStress(t *testing.T, h Harness) {
	hub, _ := h.open(t)
	for range 20 {
		s := hub.Open(t)
		require.NoError(t, s.Start(t.Context(), hub.Sink))
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() { _ = s.Stop(t.Context()) })
		}
		wg.Wait()
		require.Equal(t, channels.StatusInactive, hub.Sink.LastStatus())
	}
}
