package omni

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels"
)

// What people and agents write decides how much work it makes: at most in
// proportion to its length. (Each of these took the parser minutes.)
func TestNestedMarkupIsConvertedInTime(t *testing.T) {
	t.Parallel()
	const size = 300_000
	many := func(s string) string { return strings.Repeat(s, size/len(s)) }
	for name, text := range map[string]string{
		"numbers":               many("1. "),
		"bullets":               many("- * + "),
		"items in quotes":       many("> - "),
		"items behind a word":   "a\n" + many("1) "),
		"no code block":         "    ```\n\n" + many("> "),
		"code that has ended":   "- ```\n" + many("1. "),
		"brackets, no code":     "    ```\n\n" + many("[") + many("]"),
		"deeper with each line": deeper(size),
		"marks in marks":        strings.Repeat("**a ", size) + strings.Repeat(" b**", size),
		"marks, no code":        "    ```\n\n" + strings.Repeat("*_", size) + "a" + strings.Repeat("_*", size),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			parts := Split(text, SplitOptions{MaxLength: 4096, Unit: channels.UnitUTF16, Markup: channels.MarkupTelegramHTML})
			require.Less(t, time.Since(began), 10*time.Second)
			require.Equal(t, squeezed(text), squeezed(strings.NewReplacer("&gt;", ">", "<pre>", "", "</pre>", "", "<code>", "", "</code>", "", "• ", "").
				Replace(strings.Join(parts, ""))), "no text is lost")
		})
	}
}

// deeper is a list in a list in a list, each on a line of its own.
func deeper(size int) string {
	var b strings.Builder
	for i := 0; b.Len() < size; i++ {
		b.WriteString(strings.Repeat("  ", i) + "x\n" + strings.Repeat("  ", i) + "- y\n")
	}
	return b.String()
}

// squeezed is a text without white space.
func squeezed(s string) string { return strings.Join(strings.Fields(s), "") }

func TestNesting(t *testing.T) {
	t.Parallel()
	for line, want := range map[string][3]int{
		"":               {0, 0, 0},
		"a - b":          {0, 0, 0},
		"> > a":          {2, 0, 2},
		"- - - a":        {0, 3, 3},
		"- - - -":        {0, 0, 0}, // a rule
		"  1. > - a":     {1, 2, 5},
		"12) +":          {0, 2, 1},
		"1.5":            {0, 0, 0},
		"-a":             {0, 0, 0},
		"\t* x":          {0, 1, 5},
		"1234567890. a":  {0, 0, 0},
		">>> - - - - - ": {3, 5, 6},
	} {
		quotes, items, indent := nesting(line)
		require.Equal(t, want, [3]int{quotes, items, indent}, "%q", line)
	}
}
