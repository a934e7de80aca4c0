package omni

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestGlob(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		glob, text string
		want       bool
	}{
		{"", "", true}, {"", "a", false}, {"a", "a", true}, {"a", "A", false}, {"a", "ab", false},
		{"*", "", true}, {"*", "anything", true}, {"**", "x", true},
		{"+5511*", "+5511987654321", true}, {"+5511*", "+5521987654321", false},
		{"*4321", "+5511987654321", true}, {"*4321", "+55119876543210", false},
		{"a*b*c", "aXbYc", true}, {"a*b*c", "abc", true}, {"a*b*c", "acb", false}, {"a*b*c", "abcbc", true},
		{`a\*b`, "a*b", true}, {`a\*b`, "axb", false}, {`\*`, "*", true}, {`\*`, "x", false}, {`\\`, `\`, true}, {`*\**`, "x*y", true},
		{"?", "x", false}, {"a.c", "abc", false}, {"ü*", "übel", true},
	} {
		require.Equal(t, c.want, globMatch(c.glob, c.text), "%q on %q", c.glob, c.text)
	}
	for glob, valid := range map[string]bool{"": true, "a*": true, `\*`: true, `\\`: true, `\`: false, `a\b`: false, `\\\`: false} {
		require.Equal(t, valid, CheckGlob(glob) == nil, glob)
	}
	for _, s := range []string{"", "a", "*", `\`, `a\*b**`, "ü"} {
		require.NoError(t, CheckGlob(EscapeGlob(s)))
		require.True(t, globMatch(EscapeGlob(s), s), s)
		require.False(t, globMatch(EscapeGlob(s), s+"x"), s)
		prefix, whole := globPrefix(EscapeGlob(s))
		require.Equal(t, s, prefix)
		require.True(t, whole)
	}
}

// No pattern takes long on any text.
func TestGlobIsQuick(t *testing.T) {
	t.Parallel()
	began := time.Now()
	require.False(t, globMatch(strings.Repeat("a*", 250)+"b", strings.Repeat("a", 500)))
	require.Less(t, time.Since(began), time.Second)
}

// globAsRegexp is what a glob means, said otherwise.
func globAsRegexp(glob string) *regexp.Regexp {
	var b strings.Builder
	b.WriteString(`(?s)\A`)
	for i := 0; i < len(glob); i++ {
		switch {
		case glob[i] == '*':
			b.WriteString(".*")
		case glob[i] == '\\' && i+1 < len(glob):
			i++
			b.WriteString(regexp.QuoteMeta(string(glob[i])))
		default:
			b.WriteString(regexp.QuoteMeta(string(glob[i])))
		}
	}
	return regexp.MustCompile(b.String() + `\z`)
}

func FuzzGlob(f *testing.F) {
	f.Add("a*b", "aab")
	f.Add(`\**\\`, `*a\`)
	f.Add("*a*a*", "bababa")
	f.Fuzz(func(t *testing.T, glob, text string) {
		for _, c := range glob + text {
			if c > 127 { // one byte is one character, so that the regular expression sees the same
				return
			}
		}
		if CheckGlob(glob) != nil {
			return
		}
		require.Equal(t, globAsRegexp(glob).MatchString(text), globMatch(glob, text), "%q on %q", glob, text)
		if prefix, whole := globPrefix(glob); globMatch(glob, text) {
			require.True(t, strings.HasPrefix(text, prefix))
			require.True(t, !whole || prefix == text)
		}
	})
}
