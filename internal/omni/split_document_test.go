package omni

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels"
)

// document writes Markdown as models do, and keeps in mind what must stay
// whole.
type document struct {
	*rand.Rand
	b     strings.Builder
	n     int
	whole []span   // list items
	urls  []string // of links and bare ones
}

// span is what stands from one word to another, and the most that it takes.
type span struct {
	first, last string
	length      int
}

var graphemes = []string{"👨‍👩‍👧‍👦", "🇩🇪", "🇫🇷", "é́", "각", "1️⃣", "👍🏽", "क्षि", "ล้ำ", "ß", "中", "。", "…", "Ω"}

func (d *document) word() string {
	d.n++
	switch d.IntN(8) {
	case 0:
		return d.grapheme() + d.grapheme() + d.grapheme()
	case 1:
		return strings.Repeat("x", 1+d.IntN(12))
	default:
		return fmt.Sprintf("w%dw", d.n)
	}
}

func (d *document) grapheme() string { return graphemes[d.IntN(len(graphemes))] }

func (d *document) url() string {
	d.n++
	u := fmt.Sprintf("https://example.com/%d/%s?a=1&b=%d", d.n, strings.Repeat("p-a/", d.IntN(5)), d.n)
	d.urls = append(d.urls, u)
	return u
}

// words are a few, some of them marked.
func (d *document) words(most int) string {
	all := make([]string, 1+d.IntN(most))
	for i := range all {
		w := d.word()
		switch d.IntN(14) {
		case 0:
			w = "**" + w + " " + d.word() + "**"
		case 1:
			w = "*" + w + "*"
		case 2:
			w = "~~" + w + "~~"
		case 3:
			w = "`" + w + " <&> " + d.word() + "`"
		case 4:
			w = "[" + w + " " + d.word() + "](" + d.url() + ")"
		case 5:
			w = d.url()
		case 6:
			w += "."
		case 7:
			w += " * _ < & >"
		}
		all[i] = w
	}
	return strings.Join(all, " ")
}

// list writes items whose first and last word are known.
func (d *document) list(indent, depth int) {
	numbered := d.IntN(3) == 0
	for i := range 1 + d.IntN(6) {
		marker := "- "
		if numbered {
			marker = fmt.Sprintf("%d. ", i+1)
		}
		d.n++
		begin := d.b.Len()
		s := span{first: fmt.Sprintf("b%db", d.n), last: fmt.Sprintf("e%de", d.n)}
		fmt.Fprintf(&d.b, "%s%s%s %s", strings.Repeat(" ", indent), marker, s.first, d.words(8))
		if depth < 3 && d.IntN(3) == 0 {
			d.b.WriteString("\n")
			d.list(indent+len(marker), depth+1)
			fmt.Fprintf(&d.b, "\n%s%s\n", strings.Repeat(" ", indent+len(marker)), s.last)
		} else {
			d.b.WriteString(" " + s.last + "\n")
		}
		// What the platform's escapes, marks and indentation may add.
		s.length = 8 * (d.b.Len() - begin)
		d.whole = append(d.whole, s)
	}
}

func (d *document) block() {
	switch d.IntN(7) {
	case 0, 1:
		d.list(0, 0)
	case 2:
		fence := []string{"```", "~~~", "````"}[d.IntN(3)]
		fmt.Fprintf(&d.b, "%s%s\n", fence, []string{"", "go", "c++"}[d.IntN(3)])
		for range 1 + d.IntN(10) {
			fmt.Fprintf(&d.b, "%s%s < & *%s*\n", strings.Repeat("\t", d.IntN(3)), d.word(), d.word())
		}
		fmt.Fprintf(&d.b, "%s\n", fence)
	case 3:
		fmt.Fprintf(&d.b, "%s %s\n", strings.Repeat("#", 1+d.IntN(5)), d.words(4))
	case 4:
		for range 1 + d.IntN(4) {
			fmt.Fprintf(&d.b, "> %s\n", d.words(10))
		}
	case 5:
		d.b.WriteString("| a | b |\n|---|---|\n")
		for range 1 + d.IntN(6) {
			fmt.Fprintf(&d.b, "| %s | %s |\n", d.word(), d.word())
		}
	default:
		d.b.WriteString(d.words(60) + "\n")
	}
	d.b.WriteString("\n")
}

var documents = flag.Uint64("documents", 40, "how many documents TestSplitDocuments writes")

// What must stay whole stays whole, in documents of all kinds.
func TestSplitDocuments(t *testing.T) {
	t.Parallel()
	for seed := range *documents {
		r := rand.New(rand.NewPCG(seed, 1))
		d := &document{Rand: r}
		for range 1 + r.IntN(12) {
			d.block()
		}
		text := d.b.String()
		opt := SplitOptions{MaxLength: []int{60, 200, 500, 2000, 4096}[r.IntN(5)] + r.IntN(60), Auto: r.IntN(2) == 0,
			Unit: units[r.IntN(len(units))]}
		for _, opt.Markup = range append(converted, channels.MarkupVerbatim) {
			parts := Split(text, opt)
			checkParts(t, parts, opt)
			checkNothingLost(t, text, parts, opt)
			checkClusters(t, text, parts, opt)
			for _, p := range parts {
				checkMarks(t, p, opt.Markup)
			}
			d.checkWhole(t, parts, opt)
		}
	}
}

func (d *document) checkWhole(t *testing.T, parts []string, opt SplitOptions) {
	t.Helper()
	for _, s := range d.whole {
		if s.length > opt.MaxLength {
			continue
		}
		require.Equal(t, partWith(parts, s.first), partWith(parts, s.last), "%s: item %s…%s of\n%s\nbecame\n%s", opt.Markup, s.first, s.last,
			d.b.String(), strings.Join(parts, "\n=======\n"))
	}
	for _, u := range d.urls {
		shown := u
		switch opt.Markup {
		case channels.MarkupTelegramHTML, channels.MarkupMrkdwn:
			shown = htmlEscaper.Replace(u)
		}
		around := 40 // marks
		if opt.Markup == channels.MarkupVerbatim {
			around = 120 // a link with its label
		}
		if len(shown) > opt.MaxLength-around {
			continue
		}
		require.GreaterOrEqual(t, partWith(parts, shown), 0, "%s: %s of\n%s\nbecame\n%s", opt.Markup, shown, d.b.String(),
			strings.Join(parts, "\n=======\n"))
	}
}

// partWith is the index of the part that holds a text, -1 for none.
func partWith(parts []string, text string) int {
	for i, p := range parts {
		if strings.Contains(p, text) {
			return i
		}
	}
	return -1
}
