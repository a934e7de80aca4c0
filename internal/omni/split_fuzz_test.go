package omni

import (
	"html"
	"iter"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/rivo/uniseg"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels"
)

func FuzzSplit(f *testing.F) {
	files, _ := filepath.Glob("testdata/split/*.txt")
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(raw), "\n=== input\n")
		input, _, _ := strings.Cut(rest, "\n=== part")
		f.Add(input, 40, uint8(0))
		f.Add(input, 90, uint8(7))
	}
	for _, s := range []string{"- ```\n  a\n", "\t- a\n\n\t- b", "```\n\n\n\n```", strings.Repeat(" ", 60) + "x", "> ```\n> x\n> ```",
		"*a `b` **c", "1) a\n1) b", "a\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301b", "\r\r\n\r\n", "&#10;x&nbsp;y",
		"| a | b\n|--|--|\n", "[a](b", "![](x)", "<br><br>", "~~~a b c\nx", "* * *\n\n- - -"} {
		f.Add(s, 9, uint8(3))
	}
	f.Fuzz(func(t *testing.T, text string, limit int, bits uint8) {
		if limit < 0 || limit > 500 {
			t.Skip()
		}
		opt := SplitOptions{MaxLength: limit, Auto: bits&1 != 0, Unit: units[int(bits>>1)%len(units)]}
		for _, opt.Markup = range append(converted, channels.MarkupVerbatim) {
			began := time.Now()
			parts := Split(text, opt)
			require.Less(t, time.Since(began), 2*time.Second, "%q", text)
			checkParts(t, parts, opt)
			require.Equal(t, isBlank(CleanText(text)), len(parts) == 0, "parts of %q", text)
			checkNothingLost(t, text, parts, opt)
			checkClusters(t, text, parts, opt)
			for _, p := range parts {
				checkMarks(t, p, opt.Markup)
			}
		}
	})
}

var units = []channels.LengthUnit{channels.UnitRunes, channels.UnitUTF16, channels.UnitBytes, channels.UnitGraphemes}

// checkClusters reports a grapheme that was cut though it is shorter than a
// part: what parts show is then not what the whole shows.
func checkClusters(t *testing.T, text string, parts []string, opt SplitOptions) {
	t.Helper()
	if opt.MaxLength < 200 {
		return
	}
	whole := opt
	whole.MaxLength = 0
	known := map[string]bool{}
	for _, p := range Split(text, whole) {
		for c := range clusters(p) {
			if len(c) > 30 {
				return
			}
			known[c] = true
		}
	}
	for _, p := range parts {
		for c := range clusters(p) {
			if !known[c] && len(c) > 1 {
				require.Fail(t, "a grapheme was cut", "%+q in %+q of %+q", c, p, text)
			}
		}
	}
}

func clusters(s string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for g := uniseg.NewGraphemes(s); g.Next(); {
			if !yield(g.Str()) {
				return
			}
		}
	}
}

func checkNothingLost(t *testing.T, text string, parts []string, opt SplitOptions) {
	t.Helper()
	switch opt.Markup {
	case channels.MarkupVerbatim:
		// Fences are repeated, so the text is contained rather than equal.
		noFences := strings.NewReplacer("`", "", "~", "")
		require.True(t, contains(noFences.Replace(visible(strings.Join(parts, ""))), noFences.Replace(visible(CleanText(text)))),
			"%q became %q", text, parts)
	case channels.MarkupTelegramHTML:
		for _, p := range parts {
			checkTags(t, p)
		}
		whole := opt
		whole.MaxLength = 0
		if !strings.Contains(text, "](") { // a long link is spelled out only under a limit
			require.Equal(t, visible(untag(strings.Join(Split(text, whole), ""))), visible(untag(strings.Join(parts, ""))), "%q", text)
		}
	default:
		if !strings.ContainsAny(text, "`~&<[\\|") { // whose words may be markup: languages, entities, titles, rules of tables
			require.True(t, contains(letters(strings.Join(parts, "")), letters(CleanText(text))), "%q became %q", text, parts)
		}
		whole := opt
		whole.MaxLength = 0
		if !strings.ContainsAny(text, "`~[") || !strings.Contains(text, "](") && opt.Markup != channels.MarkupDiscord {
			// Marks are repeated, so the whole is contained rather than equal.
			shown := html.UnescapeString(strings.Join(Split(text, whole), ""))
			require.True(t, contains(letters(html.UnescapeString(strings.Join(parts, ""))), letters(shown)), "%q became %q", text, parts)
		}
	}
}

// visible is a text without what a cut may drop.
func visible(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || unicode.In(r, unicode.Cc, unicode.Cf) {
			return -1
		}
		return r
	}, s)
}

func letters(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) {
			return r
		}
		return -1
	}, s)
}

// contains reports whether all of part stands in whole, in order.
func contains(whole, part string) bool {
	rest := []rune(part)
	for _, r := range whole {
		if len(rest) > 0 && r == rest[0] {
			rest = rest[1:]
		}
	}
	return len(rest) == 0
}

var tag = regexp.MustCompile(`<(/?)([a-z]+)[^>]*>`)

func untag(s string) string { return html.UnescapeString(tag.ReplaceAllString(s, "")) }

// checkTags reports marks that Telegram would refuse.
func checkTags(t *testing.T, part string) {
	t.Helper()
	var open []string
	for _, m := range tag.FindAllStringSubmatch(part, -1) {
		if m[1] == "" {
			open = append(open, m[2])
			continue
		}
		require.NotEmpty(t, open, "%q", part)
		require.Equal(t, open[len(open)-1], m[2], "%q", part)
		open = open[:len(open)-1]
	}
	require.Empty(t, open, "%q", part)
	require.NotContains(t, tag.ReplaceAllString(part, ""), "<", "%q", part)
}
