package omni

import (
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels"
)

func paragraphs(n, length int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = strconv.Itoa(i) + strings.Repeat("x", length)
	}
	return strings.Join(list, "\n\n")
}

func TestSplitJoinsWhatWouldBeTooManyParts(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name             string
		paragraphs, each int
		opt              SplitOptions
		parts            int
	}{
		{"as many as may be", 50, 10, SplitOptions{Auto: true, MaxParts: 50}, 50},
		{"one more", 51, 10, SplitOptions{Auto: true, MaxParts: 50}, 50},
		{"ten thousand", 10_000, 10, SplitOptions{Auto: true, MaxParts: 50}, 50},
		{"ten thousand of HTML", 10_000, 10, SplitOptions{Auto: true, MaxParts: 50, MaxLength: 4096,
			Unit: channels.UnitUTF16, Markup: channels.MarkupTelegramHTML}, 50},
		{"no bound", 60, 10, SplitOptions{Auto: true}, 60},
		{"one part", 60, 10, SplitOptions{Auto: true, MaxParts: 1}, 1},
	} {
		text := paragraphs(tc.paragraphs, tc.each)
		parts := Split(text, tc.opt)
		require.Len(t, parts, tc.parts, tc.name)
		checkParts(t, parts, tc.opt)
		require.Equal(t, text, strings.Join(parts, partSeparator), tc.name)
	}
}

func TestSplitKeepsTheLimitOfAPartOverTheirNumber(t *testing.T) {
	t.Parallel()
	opt := SplitOptions{Auto: true, MaxParts: 3, MaxLength: 100}
	text := paragraphs(40, 30)
	parts := Split(text, opt)
	checkParts(t, parts, opt)
	require.Len(t, parts, 14, "three paragraphs fit into each")
	require.Equal(t, text, strings.Join(parts, partSeparator))

	uneven := strings.Repeat("x", 90) + "\n\n" + strings.Repeat("y", 90) + "\n\na\n\nb\n\nc\n\nd"
	parts = Split(uneven, opt)
	require.LessOrEqual(t, len(parts), 3)
	require.Equal(t, uneven, strings.Join(parts, partSeparator))
}
