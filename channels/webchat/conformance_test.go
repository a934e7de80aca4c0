package webchat

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels/channeltest"
	"github.com/omnihub/omni/channels/message"
)

const (
	waitFor = 20 * time.Second
	tick    = 2 * time.Millisecond
)

func TestMain(m *testing.M) { channeltest.Main(m) }

func TestConformance(t *testing.T) {
	t.Parallel()
	channeltest.Run(t, channeltest.Harness{
		Channel: Channel{},
		Open:    openPlatform,
		BadConfigs: map[string][]string{
			"channelConfig.title": {`{"title":"` + strings.Repeat("x", 101) + `"}`, `{"title":"a\nb"}`},
			"channelConfig.allowedOrigins": {`{"allowedOrigins":["example.com"]}`, `{"allowedOrigins":["*"]}`,
				`{"allowedOrigins":["https://example.com/"]}`, `{"allowedOrigins":["https://a.com; script-src *"]}`,
				`{"allowedOrigins":["https://user@a.com"]}`, `{"allowedOrigins":[""]}`, `{"allowedOrigins":["https://*."]}`},
			"channelConfig": {`{"title":7}`, `{"allowedOrigins":"https://a.com"}`},
		},
		Convert: func(t *testing.T, raw []byte) []message.Inbound {
			var f clientFrame
			require.NoError(t, json.Unmarshal(raw, &f))
			in, code, detail := inbound(chatID("i", testToken), f, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
			require.Empty(t, code, detail)
			return []message.Inbound{in}
		},
	})
}
