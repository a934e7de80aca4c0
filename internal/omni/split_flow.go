package omni

import "strings"

// rank says how good a place to cut is; higher is better.
type rank int

const (
	rankNone     rank = iota // between graphemes
	rankSoft                 // where a line may wrap
	rankWord                 // at white space
	rankSentence             // after a sentence
	rankLine                 // at a line break
	rankNested               // between what a list item is made of
	rankItem                 // between list items
	rankBlock                // before and after a code block or list
	rankSection              // between paragraphs
	ranks
)

// style is a pair of marks around text: a tag, a code fence. Runs that share
// the pointer lie within the same pair.
type style struct{ open, close string }

// run is a stretch of visible text under the same styles (outermost first),
// or, with a rank, the gap between two: text that goes when the cut is there.
// Only runs of code hold line breaks.
type run struct {
	text   string
	styles []*style
	code   bool
	rank   rank
}

// flow collects runs.
type flow struct{ runs []run }

func (f *flow) text(s string, styles []*style) {
	if s != "" {
		f.runs = append(f.runs, run{text: s, styles: styles})
	}
}

func (f *flow) code(s string, styles []*style) {
	if s != "" {
		f.runs = append(f.runs, run{text: s, styles: styles, code: true})
	}
}

// gap adds a place to cut. At the beginning there is nothing to cut off.
func (f *flow) gap(s string, r rank, styles []*style) {
	if len(f.runs) > 0 {
		f.runs = append(f.runs, run{text: s, styles: styles, rank: r})
	}
}

// verbatimFlow makes runs of Markdown that stays as it is: lines, and code
// blocks whose fences are the style, unless they would fill half a part.
func verbatimFlow(text string, limit int) []run {
	f := &flow{}
	for i, s := range sections(text) {
		if i > 0 {
			f.gap("\n\n", rankSection, nil)
		}
		verbatimSection(f, text[s.start:s.end], limit)
	}
	return f.runs
}

func verbatimSection(f *flow, text string, limit int) {
	w := verbatimWriter{flow: f, text: text, limit: limit, listIndent: -1}
	for start := 0; start < len(text); {
		end, next := lineEnd(text, start)
		if line := text[start:end]; openFence(line).open() {
			next = w.fenced(line, start)
		} else if !isBlankLine(line) {
			w.line(line, start)
		}
		start = next
	}
}

// verbatimWriter makes the runs of one section.
type verbatimWriter struct {
	*flow
	text       string
	limit      int
	listIndent int // of its list's outermost items, -1: no list yet
	afterFence bool
}

func (w *verbatimWriter) line(line string, start int) {
	r := rankLine
	if marker := listMarker(line); marker != 0 {
		switch {
		case w.listIndent < 0:
			r, w.listIndent = rankBlock, indentOf(line)
		case indentOf(line) <= w.listIndent:
			r = rankItem
		default:
			r = rankNested
		}
	}
	if w.afterFence {
		r = max(r, w.nested(rankBlock))
	}
	w.gapBefore(start, r)
	w.flow.text(line, nil)
	w.afterFence = false
}

// fenced adds a code block and returns where the line after it starts.
func (w *verbatimWriter) fenced(line string, start int) (next int) {
	body, next := fencedBody(w.text, start)
	w.gapBefore(start, w.nested(rankBlock))
	at := strings.IndexAny(line, "`~")
	mark := line[at : at+fenceRun(line[at:]).count]
	marks := &style{open: line + "\n", close: "\n" + strings.Repeat(" ", at) + mark}
	if isBlank(body) || w.limit > 0 && len(marks.open)+len(marks.close) > w.limit/2 {
		for i, l := range strings.Split(strings.TrimRight(w.text[start:next], "\r\n"), "\n") {
			if i > 0 {
				w.gap("\n", rankLine, nil)
			}
			w.flow.text(l, nil)
		}
	} else {
		w.code(body, []*style{marks})
	}
	w.afterFence = true
	return next
}

// gapBefore adds the blank lines of the source before the line at start.
func (w *verbatimWriter) gapBefore(start int, r rank) {
	if start > 0 {
		text := strings.TrimRight(w.text[:start], " \t\r\n")
		w.gap(strings.Repeat("\n", strings.Count(w.text[len(text):start], "\n")), r, nil)
	}
}

// nested is the rank of a block inside the section's list, if it has one.
func (w *verbatimWriter) nested(r rank) rank {
	if w.listIndent >= 0 {
		return rankNested
	}
	return r
}

// fencedBody returns what the fence that opens at start contains, and where
// the line after it starts. A fence that is never closed goes to the end.
func fencedBody(text string, start int) (body string, next int) {
	end, begin := lineEnd(text, start)
	f, last := openFence(text[start:end]), begin
	for at := begin; at < len(text); {
		end, next = lineEnd(text, at)
		if f = f.after(text[at:end]); !f.open() {
			return text[begin:last], next
		}
		last, at = end, next
	}
	return text[begin:last], len(text)
}
