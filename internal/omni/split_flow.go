package omni

import (
	"regexp"
	"slices"
	"strings"
)

// rank says how good a place to cut is; higher is better.
type rank int

const (
	rankNone     rank = iota // between graphemes
	rankSoft                 // where a line may wrap
	rankWord                 // at white space
	rankSentence             // after a sentence
	rankLine                 // at a line break
	rankDeepest              // within list items, the deepest first: see nested
)

const (
	rankItem    = rankDeepest + maxNesting
	rankBlock   = rankItem + 1  // before and after a code block or list
	rankSection = rankBlock + 1 // between paragraphs
	ranks       = rankSection + 1
)

// maxNesting is how deep in lists one level is told from the next.
const maxNesting = 8

// nested is the rank of a cut within an item that stands that deep in lists,
// 1 for an item of the outermost: between what it is made of, or between the
// items of a list in it.
func nested(depth int) rank { return rankItem - rank(min(depth, maxNesting)) }

// style is a pair of marks around text: a tag, a code fence. Runs that share
// the pointer lie within the same pair.
type style struct {
	open, close string
	mark        bool // a mark among letters, which must not touch another one
}

// run is a stretch of visible text under the same styles (outermost first),
// or, with a rank, the gap between two: text that goes when the cut is there.
// Only runs of code hold line breaks.
type run struct {
	text   string
	styles []*style
	code   bool
	raw    bool // in code or a URL: what would be markup elsewhere is none
	atom   int  // not 0: it is not cut, with its neighbours of the same atom, unless it is longer than a part
	rank   rank
}

// flow collects runs.
type flow struct {
	runs  []run
	atoms int // given out so far
	atom  int // of the text being added
}

func (f *flow) text(s string, styles []*style) { f.add(run{text: s, styles: styles}) }

func (f *flow) code(s string, styles []*style) {
	f.add(run{text: s, styles: styles, code: true, raw: true})
}

// maxJoined bounds what joining many short texts costs.
const maxJoined = 4096

// add appends text, to the last run where that is of the same kind: a
// grapheme may begin in one and end in the other.
func (f *flow) add(r run) {
	if r.text == "" {
		return
	}
	if r.atom == 0 {
		r.atom = f.atom
	}
	if n := len(f.runs); n > 0 && f.runs[n-1].continues(&r) {
		f.runs[n-1].text += r.text
		return
	}
	f.runs = append(f.runs, r)
}

func (r *run) continues(next *run) bool {
	return r.rank == rankNone && !r.code && !next.code && r.raw == next.raw && r.atom == next.atom &&
		len(r.text) < maxJoined && slices.Equal(r.styles, next.styles)
}

// whole runs what adds text that must not be cut.
func (f *flow) whole(add func()) {
	if f.atom == 0 { // else it is part of a larger one
		f.atoms++
		f.atom = f.atoms
		defer func() { f.atom = 0 }()
	}
	add()
}

// prose adds text whose URLs must not be cut.
func (f *flow) prose(s string, styles []*style) {
	f.keeping(bareURL, s, styles)
}

var bareURL = regexp.MustCompile("(?i)\\b(?:https?|ftp)://[^\\s<>\"`]+")

// keeping adds text in which what matches must not be cut.
func (f *flow) keeping(pattern *regexp.Regexp, s string, styles []*style) {
	at := 0
	if strings.Contains(s, ":") || strings.Contains(s, "](") {
		for _, m := range pattern.FindAllStringIndex(s, -1) {
			f.text(s[at:m[0]], styles)
			f.whole(func() { f.text(s[m[0]:m[1]], styles) })
			at = m[1]
		}
	}
	f.text(s[at:], styles)
}

// gap adds a place to cut. At the beginning there is nothing to cut off.
func (f *flow) gap(s string, r rank, styles []*style) {
	if len(f.runs) > 0 {
		f.runs = append(f.runs, run{text: s, styles: styles, rank: r})
	}
}
