package gateway

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/message"
)

func TestMemoryForgetsByAgeAndBySize(t *testing.T) {
	t.Parallel()
	now := time.Now()
	m := newMemory(10*time.Minute, 3)
	m.now = func() time.Time { return now }
	remember := func(key string) {
		o, mine := m.begin(key)
		require.True(t, mine, key)
		m.finish(o, channels.Reply{Receipt: &message.Receipt{ExternalID: key}})
	}
	running, mine := m.begin("running")
	require.True(t, mine)
	for i := range 6 {
		remember(fmt.Sprint(i))
	}
	require.Nil(t, m.find("0"), "the oldest goes first")
	require.NotNil(t, m.find("5"))
	require.Same(t, running, m.find("running"), "what is under way is never forgotten")
	now = now.Add(11 * time.Minute)
	require.Nil(t, m.find("5"))
	require.Same(t, running, m.find("running"))
	m.finish(running, channels.Reply{})
	require.Nil(t, m.find("running"))
	require.Empty(t, m.byKey)
	require.Zero(t, m.ordered.Len())
}

func TestRequestsWithoutAKeyAreAllTheirOwn(t *testing.T) {
	t.Parallel()
	m := newMemory(time.Minute, 3)
	for range 2 {
		o, mine := m.begin("")
		require.True(t, mine)
		m.finish(o, channels.Reply{})
	}
	require.Empty(t, m.byKey)
}
