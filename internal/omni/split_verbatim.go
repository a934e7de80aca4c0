package omni

import (
	"regexp"
	"strings"
)

// verbatimFlow makes runs of Markdown that stays as it is: lines, and code
// blocks whose fences are the style, unless they would fill half a part.
func verbatimFlow(text string, limit int) []run {
	f := &flow{}
	all := sections(text)
	for i, s := range all {
		if i > 0 {
			f.gap("\n\n", afterSection(text, all[i-1]), nil)
		}
		verbatimSection(f, text[s.start:s.end], limit)
	}
	return f.runs
}

func verbatimSection(f *flow, text string, limit int) {
	w := verbatimWriter{flow: f, text: text, limit: limit}
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
	indents    []int // of the items of the lists around, outermost first
	afterFence bool
}

// verbatimLink is what a reader would see broken if it were cut.
var verbatimLink = regexp.MustCompile(`!?\[[^\[\]\n]*\]\((?:[^()\s]|\([^()\s]*\))*(?:\s+"[^"\n]*")?\)|<[a-zA-Z][a-zA-Z0-9+.-]*:[^<>\s]*>|` + bareURL.String())

func (w *verbatimWriter) line(line string, start int) {
	r := rankLine
	if listMarker(line) != 0 {
		r = w.item(indentOf(line))
	}
	if w.afterFence {
		r = max(r, w.inList(rankBlock))
	}
	w.gapBefore(start, r)
	w.keeping(verbatimLink, line, nil)
	w.afterFence = false
}

// item is the rank of the cut before a list item.
func (w *verbatimWriter) item(indent int) rank {
	first := len(w.indents) == 0
	for n := len(w.indents); n > 1 && w.indents[n-1] > indent; n-- {
		w.indents = w.indents[:n-1]
	}
	if n := len(w.indents); n == 0 || w.indents[n-1] < indent {
		w.indents = append(w.indents, indent)
	}
	if depth := len(w.indents) - 1; !first {
		return nested(depth) // of the outermost list: rankItem
	}
	return rankBlock
}

// fenced adds a code block and returns where the line after it starts.
func (w *verbatimWriter) fenced(line string, start int) (next int) {
	body, next := fencedBody(w.text, start)
	w.gapBefore(start, w.inList(rankBlock))
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

// inList is the rank of a block, which is another inside the section's list.
func (w *verbatimWriter) inList(r rank) rank {
	if depth := len(w.indents); depth > 0 {
		return nested(depth)
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
