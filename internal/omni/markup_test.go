package omni

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels"
)

var converted = []channels.Markup{channels.MarkupPlain, channels.MarkupTelegramHTML, channels.MarkupMrkdwn, channels.MarkupWhatsApp,
	channels.MarkupDiscord}

// Each Markdown file of testdata/markup has a golden file for every markup.
func TestConvertGolden(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/markup/*.md")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		for _, markup := range converted {
			golden := strings.TrimSuffix(file, ".md") + "." + string(markup) + ".txt"
			t.Run(filepath.Base(golden), func(t *testing.T) {
				t.Parallel()
				source, err := os.ReadFile(file)
				require.NoError(t, err)
				got := Convert(string(source), markup)
				checkMarks(t, got, markup)
				if *update {
					require.NoError(t, os.WriteFile(golden, []byte(got+"\n"), 0o644))
					return
				}
				want, err := os.ReadFile(golden)
				require.NoError(t, err)
				require.Equal(t, string(want), got+"\n")
			})
		}
	}
}

// checkMarks reports what a platform would refuse or show broken.
func checkMarks(t *testing.T, part string, markup channels.Markup) {
	t.Helper()
	switch markup {
	case channels.MarkupTelegramHTML:
		checkTags(t, part)
	case channels.MarkupMrkdwn, channels.MarkupWhatsApp:
		require.Zero(t, strings.Count(part, "```")%2, "a fence is open: %q", part)
	case channels.MarkupDiscord:
		plain := strings.NewReplacer(`\\`, "", "\\`", "").Replace(part)
		require.Zero(t, strings.Count(plain, "```")%2, "a fence is open: %q", part)
	}
}
