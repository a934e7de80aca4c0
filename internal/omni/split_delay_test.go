package omni_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/internal/omni"
)

func TestSplitDelay(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		mode       string
		ms, length int
		want       time.Duration
	}{
		"fixed":                    {"fixed", 800, 5000, 800 * time.Millisecond},
		"none":                     {"proportional", 0, 5000, 0},
		"as long as it takes":      {"proportional", 2000, 150, 3 * time.Second},
		"a short one takes some":   {"proportional", 2000, 2, 500 * time.Millisecond},
		"a long one is not typed":  {"proportional", 2000, 5000, 8 * time.Second},
		"nobody waits for a hour":  {"proportional", 60000, 5000, time.Minute},
		"stored before modes were": {"", 800, 5000, 800 * time.Millisecond},
	} {
		require.Equal(t, tt.want, omni.SplitDelay(omni.MessagingConfig{SplitDelayMode: tt.mode, SplitDelayMs: tt.ms}, tt.length), name)
	}
}

func TestTypingIsShownAgainBeforeItEnds(t *testing.T) {
	t.Parallel()
	require.Equal(t, 4*time.Second, omni.TypingEvery(channels.Capabilities{}))
	require.Equal(t, 8*time.Second, omni.TypingEvery(channels.Capabilities{TypingSeconds: 10}))
}
