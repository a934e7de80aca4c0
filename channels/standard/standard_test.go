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

// Whoever changes the server that a channel's secrets go to must know them.
func TestSecretsKnowWhereTheyAreSent(t *testing.T) {
	t.Parallel()
	for _, c := range channels.All() {
		for _, f := range c.Info().Config {
			if f.Name == "apiBaseUrl" {
				require.True(t, f.Destination, c.Info().Type)
			}
		}
	}
}
