package bus_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/internal/bus"
	"github.com/omnihub/omni/internal/omni"
)

func TestAgentStreamsAreHeardByWhoListensAndKeptByNobody(t *testing.T) {
	t.Parallel()
	b, conn := setup(t)
	turn := uuid.New()
	sub, err := conn.SubscribeSync("agent.stream." + turn.String())
	require.NoError(t, err)
	heard := make(chan string, 10)
	stop, err := b.OnAgentStream(func(frame []byte) { heard <- string(frame) })
	require.NoError(t, err)
	require.NoError(t, b.PublishAgentStream(turn, []byte("one")))
	require.Equal(t, "one", receive(t, heard))
	msg, err := sub.NextMsgWithContext(within(t, 10*time.Second))
	require.NoError(t, err)
	require.Equal(t, "one", string(msg.Data))
	stop()
	require.NoError(t, b.PublishAgentStream(turn, []byte("two")))
	require.NoError(t, conn.Flush())
	require.Empty(t, heard)

	_, kept := bus.StreamOf(omni.EventAgentStream)
	require.False(t, kept)
}
