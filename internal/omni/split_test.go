package omni

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// Each file of testdata/split holds options, an input and the parts expected.
func TestSplitGolden(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/split/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			raw, err := os.ReadFile(file)
			require.NoError(t, err)
			head, rest, ok := strings.Cut(string(raw), "\n=== input\n")
			require.True(t, ok)
			input, _, _ := strings.Cut(rest, "\n=== part")
			input = strings.TrimSuffix(input, "\n")
			opt := parseOptions(t, head)

			parts := Split(input, opt)
			var got strings.Builder
			fmt.Fprintf(&got, "%s\n=== input\n%s\n", head, input)
			for i, p := range parts {
				fmt.Fprintf(&got, "=== part %d (%d)\n%s\n", i+1, Length(p, opt.Unit), p)
			}
			checkParts(t, parts, opt)
			if *update {
				require.NoError(t, os.WriteFile(file, []byte(got.String()), 0o644))
				return
			}
			require.Equal(t, string(raw), got.String())
		})
	}
}

func parseOptions(t *testing.T, head string) SplitOptions {
	t.Helper()
	var opt SplitOptions
	for f := range strings.FieldsSeq(head) {
		key, value, _ := strings.Cut(f, "=")
		switch key {
		case "auto":
			opt.Auto = true
		case "max":
			_, err := fmt.Sscan(value, &opt.MaxLength)
			require.NoError(t, err)
		case "unit":
			opt.Unit = channels.LengthUnit(value)
		case "markup":
			opt.Markup = channels.Markup(value)
		default:
			require.Fail(t, "unknown option", key)
		}
	}
	return opt
}

func checkParts(t *testing.T, parts []string, opt SplitOptions) {
	t.Helper()
	for i, p := range parts {
		require.False(t, isBlank(p), "part %d is blank: %q", i, p)
		if opt.MaxLength > 0 {
			require.LessOrEqual(t, Length(p, opt.Unit), max(opt.MaxLength, minMaxLength), "part %d: %q", i, p)
		}
	}
}

func TestSplitBlank(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", " ", "\n\n\t", "\u200b\u200d", "\x00", "\r\n"} {
		for _, markup := range append(converted, channels.MarkupVerbatim) {
			require.Empty(t, Split(text, SplitOptions{Markup: markup, Auto: true}), "%q", text)
			require.Empty(t, Split(text, SplitOptions{Markup: markup}), "%q", text)
		}
	}
}

func TestSplitCleans(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{"a\uFFFDb"}, Split("a\xff\x00b", SplitOptions{}))
}

func TestSplitOfUnknownMarkupIsVerbatim(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{"**a** <b>"}, Split("**a** <b>", SplitOptions{Markup: "new"}))
}

func TestUnconvert(t *testing.T) {
	t.Parallel()
	text := "**bold** *it* ~~no~~ `x < y` [l](https://e.com/?a=1&b=2) AT&T\n\n```go\na := 1\n```\n\n```\nplain\n```\n\n> quote"
	require.Equal(t, text, Unconvert(Convert(text, channels.MarkupTelegramHTML), channels.MarkupTelegramHTML))
	require.Equal(t, "a <b>", Unconvert("a <b>", channels.MarkupVerbatim))
}

func TestConvert(t *testing.T) {
	t.Parallel()
	require.Equal(t, "a &lt; b", Convert("a < b", channels.MarkupTelegramHTML))
	require.Equal(t, "<b>x</b>\n\ny", Convert("**x**\n\ny", channels.MarkupTelegramHTML))
	require.Equal(t, "**x**", Convert("**x**", channels.MarkupVerbatim))
	require.Empty(t, Convert("", channels.MarkupTelegramHTML))
}

func BenchmarkSplit(b *testing.B) {
	long := strings.Repeat("Some words of a paragraph, with a sentence or two. And so on.\n\n", 200)
	for name, text := range map[string]string{"short": "Hello, how are you?", "markdown": "Some **bold** words\n\n- a\n- b", "long": long,
		"line": strings.Repeat("word ", 20000)} {
		for _, markup := range []channels.Markup{channels.MarkupVerbatim, channels.MarkupTelegramHTML} {
			b.Run(name+"/"+string(markup), func(b *testing.B) {
				for b.Loop() {
					Split(text, SplitOptions{MaxLength: 4096, Unit: channels.UnitUTF16, Markup: markup, Auto: name != "long"})
				}
			})
		}
	}
}

// Texts that make naive parsers quadratic. An agent may be talked into any of
// them, and a reply is split while a workflow task waits.
func TestSplitHostileTexts(t *testing.T) {
	t.Parallel()
	const size = 1 << 16
	var steps strings.Builder
	for i := range 300 {
		steps.WriteString(strings.Repeat("  ", i) + "- a\n")
	}
	for name, text := range map[string]string{
		"quotes":        strings.Repeat("> ", size/2),
		"brackets":      strings.Repeat("[", size),
		"images":        strings.Repeat("![", size/2),
		"links":         strings.Repeat("[a](b", size/5),
		"emphasis":      strings.Repeat("**a* ", size/5),
		"code":          strings.Repeat("`a", size/2),
		"tags":          strings.Repeat("<a ", size/3),
		"lists":         strings.Repeat("- ", size/2),
		"steps":         steps.String(),
		"blank":         strings.Repeat("\n", size) + "x",
		"spaces":        strings.Repeat(" ", size) + "x",
		"word":          strings.Repeat("x", size),
		"family":        strings.Repeat("👨‍👩‍👧‍👦", size/25),
		"zalgo":         "a" + strings.Repeat("\u0301", size/2),
		"fences":        strings.Repeat("```a\n", size/5),
		"headings":      strings.Repeat("# a\n", size/4),
		"urls":          strings.Repeat("http://a.b ", size/11),
		"url":           "http://" + strings.Repeat("a.b/", size/4),
		"at signs":      strings.Repeat("a@b.c@", size/6),
		"www":           strings.Repeat("www.a", size/5),
		"tables":        strings.Repeat("|a|b|\n|-|-|\n", size/13),
		"row":           "|a|b|\n|-|-|\n" + strings.Repeat("|**x**", size/7),
		"nested images": strings.Repeat("![a", size/4) + strings.Repeat("](b)", size/4),
		"stars":         strings.Repeat("\\* ", size/3),
		"tildes":        strings.Repeat("~a ", size/3),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, markup := range append(converted, channels.MarkupVerbatim) {
				opt := SplitOptions{MaxLength: 4096, Unit: channels.UnitUTF16, Markup: markup}
				began := time.Now()
				parts := Split(text, opt)
				require.Less(t, time.Since(began), 3*time.Second)
				require.NotEmpty(t, parts)
				checkParts(t, parts, opt)
			}
		})
	}
}
