package standard_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels"
	_ "github.com/omnihub/omni/channels/standard"
)

func TestEveryChannelIsRegistered(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"custom", "telegram", "webchat"} {
		c, ok := channels.Lookup(name)
		require.True(t, ok, name)
		require.Equal(t, name, c.Info().Type)
	}
}
