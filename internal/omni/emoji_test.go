package omni

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestIsEmoji(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"🔄", "♻️", "♻", "👍🏽", "👩‍👩‍👧", "🇧🇷", "1️⃣", "#️⃣", "‼️", "➕", "↩️", "❤️‍🔥", "©"} {
		require.True(t, IsEmoji(s), s)
	}
	for _, s := range []string{"", " ", "a", "é", "1", "#", "/reset", "🔄🔄", "🔄 ", "日", "\x00", "\u200d", "!", "\xff"} {
		require.False(t, IsEmoji(s), "%q", s)
	}
}
