package omni

import (
	"regexp"
	"strings"
)

// section is a paragraph of the source with whatever belongs to it: a whole
// list, a whole code block. Offsets are of the first and past the last line
// that is not blank.
type section struct{ start, end int }

// sections finds the paragraphs of a Markdown text. They are found in the
// source, by lines, so that every channel gets the same parts whatever its
// markup.
func sections(text string) []section {
	var all []section
	sc := sectionScanner{}
	for start := 0; start < len(text); {
		end, next := lineEnd(text, start)
		line := text[start:end]
		switch {
		case sc.fence.open():
			sc.fence = sc.fence.after(line)
			sc.cur.end = end
		case isBlankLine(line):
			sc.blank = true
		default:
			if sc.started && sc.blank && !sc.goesOn(line) {
				all = append(all, sc.cur)
				sc = sectionScanner{}
			}
			sc.take(line, start, end)
		}
		start = next
	}
	if sc.started {
		all = append(all, sc.cur)
	}
	return all
}

var headingLine = regexp.MustCompile(`^ {0,3}#{1,6}[ \t][^\n]*$`)

// afterSection is the rank of the cut after a section: a heading stays with
// what it is above.
func afterSection(text string, s section) rank {
	if headingLine.MatchString(text[s.start:s.end]) {
		return rankLine
	}
	return rankSection
}

// sectionScanner is what is known of the section being read.
type sectionScanner struct {
	cur      section
	started  bool
	blank    bool // the previous line was blank
	fence    fence
	marker   byte // of its list: '-', '*', '+', '.', ')'; 0: no list
	indent   int  // of its list's outermost items
	codeOnly bool // it is indented code
}

// take adds a line that is not blank.
func (sc *sectionScanner) take(line string, start, end int) {
	if !sc.started {
		sc.started, sc.cur.start = true, start
		sc.codeOnly = indentOf(line) >= 4
	}
	sc.cur.end, sc.blank = end, false
	if sc.fence = openFence(line); sc.fence.open() {
		return
	}
	if m := listMarker(line); m != 0 && (sc.marker == 0 || indentOf(line) <= sc.indent) {
		sc.marker, sc.indent = m, indentOf(line)
	}
}

// goesOn reports whether a line after a blank one still belongs to the section.
func (sc *sectionScanner) goesOn(line string) bool {
	indent := indentOf(line)
	switch {
	case sc.marker == 0:
		return sc.codeOnly && indent >= 4
	case indent >= sc.indent+2:
		return true
	default:
		return listMarker(line) == sc.marker
	}
}

// lineEnd returns the end of the line without its line break, and the start
// of the next one.
func lineEnd(text string, start int) (end, next int) {
	i := strings.IndexByte(text[start:], '\n')
	if i < 0 {
		return len(text), len(text)
	}
	end, next = start+i, start+i+1
	if end > start && text[end-1] == '\r' {
		end--
	}
	return end, next
}

func isBlankLine(line string) bool { return strings.TrimSpace(line) == "" }

// indentOf counts leading columns; a tab goes to the next multiple of four.
func indentOf(line string) int {
	n := 0
	for i := range len(line) {
		switch line[i] {
		case ' ':
			n++
		case '\t':
			n += 4 - n%4
		default:
			return n
		}
	}
	return n
}

// listMarker returns the character that makes a line a list item: the bullet,
// or what follows the number. 0: the line is none.
func listMarker(line string) byte {
	s := strings.TrimLeft(line, " \t")
	if s == "" || isRule(s) {
		return 0
	}
	i := 0
	for i < len(s) && i < 9 && s[i] >= '0' && s[i] <= '9' {
		i++
	}
	if i == len(s) {
		return 0
	}
	m := s[i]
	if i == 0 && m != '-' && m != '*' && m != '+' || i > 0 && m != '.' && m != ')' {
		return 0
	}
	if i+1 < len(s) && s[i+1] != ' ' && s[i+1] != '\t' {
		return 0
	}
	return m
}

// isRule reports a thematic break: three or more of one of - * _ and nothing
// else on the line.
func isRule(line string) bool {
	s := strings.TrimSpace(line)
	n := 0
	for i := range len(s) {
		switch s[i] {
		case ' ', '\t':
		case '-', '*', '_':
			if s[i] != s[0] {
				return false
			}
			n++
		default:
			return false
		}
	}
	return n >= 3
}

// fence is an open code fence; the zero value is none.
type fence struct {
	char  byte
	count int
}

func (f fence) open() bool { return f.count > 0 }

// openFence reads a line that may open a fence.
func openFence(line string) fence {
	s := strings.TrimLeft(line, " \t")
	// A fence may be the first thing in a list item.
	if m := listMarker(line); m != 0 {
		s = strings.TrimLeft(s[strings.IndexByte(s, m)+1:], " \t")
	}
	f := fenceRun(s)
	if f.count < 3 || f.char == '`' && strings.IndexByte(s[f.count:], '`') >= 0 {
		return fence{}
	}
	return f
}

// after is the state of an open fence after a line inside it.
func (f fence) after(line string) fence {
	s := strings.TrimSpace(line)
	if g := fenceRun(s); g.char == f.char && g.count >= f.count && g.count == len(s) {
		return fence{}
	}
	return f
}

func fenceRun(s string) fence {
	if s == "" || s[0] != '`' && s[0] != '~' {
		return fence{}
	}
	n := 1
	for n < len(s) && s[n] == s[0] {
		n++
	}
	return fence{char: s[0], count: n}
}
