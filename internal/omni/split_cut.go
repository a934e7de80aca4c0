package omni

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"

	"github.com/omnihub/omni/channels"
)

// cutRuns renders runs as parts that are within the limit. escape may be nil.
func cutRuns(runs []run, opt SplitOptions, escape escaper) []string {
	c := &cutter{runs: runs, limit: opt.MaxLength, unit: opt.Unit, escape: escape}
	var parts []string
	for at := (place{}); at.run < len(c.runs); {
		end, resume := c.next(at)
		if resume == at {
			// Not even one character fits together with its marks: this
			// stretch goes without them.
			c.strip(at)
			continue
		}
		if part := c.render(at, end); !isBlank(part) {
			parts = append(parts, part)
		}
		at = resume
	}
	return parts
}

type cutter struct {
	runs   []run
	limit  int
	unit   channels.LengthUnit
	escape escaper
}

// place is a position between two graphemes. With skip, white space that
// follows is not text but what was cut at.
type place struct {
	run, off int
	skip     bool
}

// candidate is a place to cut: the part ends at end, the next one starts at
// resume; size is the part's length.
type candidate struct {
	end, resume place
	size        int
}

// next finds where the part that starts at from ends.
func (c *cutter) next(from place) (end, resume place) {
	stop := place{run: len(c.runs)}
	if c.limit <= 0 {
		return stop, stop
	}
	// By whole runs first: most cuts are between paragraphs or items.
	w := c.walk(from)
	if w.runs() {
		return w.end, stop
	}
	if best, ok := w.structural(); ok {
		return best.end, best.resume
	}
	w = c.walk(from)
	if w.graphemes() {
		return w.end, stop
	}
	best := w.textual()
	return best.end, best.resume
}

// walker measures a part that grows. What is behind white space and gaps
// counts only once something visible follows (the provisional fields).
type walker struct {
	*cutter
	from, at          place
	end               place // after the last visible text
	used, provisional int
	pending           []*style
	best              [ranks]candidate
	started           bool // something visible is in the part
}

func (c *cutter) walk(from place) *walker { return &walker{cutter: c, from: from, at: from, end: from} }

// runs takes whole runs for as long as they fit; true: all of them did.
func (w *walker) runs() bool {
	for w.at.run < len(w.cutter.runs) {
		r := &w.cutter.runs[w.at.run]
		if r.rank == rankNone {
			if !w.add(w.rest(), r, place{run: w.at.run + 1}) {
				return false
			}
		} else {
			w.gap(r)
		}
		w.at = place{run: w.at.run + 1}
	}
	return true
}

// rest is what is left of the run at hand.
func (w *walker) rest() string {
	r := &w.cutter.runs[w.at.run]
	text := r.text[w.at.off:]
	if w.at.skip && !r.code {
		w.at.off += leadingSpace(text)
		w.at.skip = false
		text = r.text[w.at.off:]
	}
	return text
}

// leadingSpace is the length of the white space that a text begins with. A
// space that carries a combining mark is none.
func leadingSpace(text string) int {
	end := len(text) - len(strings.TrimLeftFunc(text, unicode.IsSpace))
	if end == len(text) {
		return end
	}
	if r, _ := utf8.DecodeRuneInString(text[end:]); !unicode.IsMark(r) && r != '\u200d' {
		return end
	}
	_, size := utf8.DecodeLastRuneInString(text[:end])
	return end - size
}

// gap passes a gap, which may be where the part ends.
func (w *walker) gap(r *run) {
	w.offer(r.rank, place{run: w.at.run + 1})
	if w.provisional > 0 { // nothing begins with a gap
		w.hold(r.text, r)
	}
}

// offer records that the part may end after what is visible and the next one
// begin at resume; the later the better.
func (w *walker) offer(r rank, resume place) {
	if w.started {
		w.best[r] = candidate{end: w.end, resume: resume, size: w.used}
	}
}

// hold adds text that counts only once something visible follows.
func (w *walker) hold(text string, r *run) {
	w.provisional += w.transition(w.pending, r.styles) + w.measure(text, r.raw)
	w.pending = r.styles
}

// add takes visible text that ends at end, if it fits, marks that must be
// closed included.
func (w *walker) add(text string, r *run, end place) bool {
	if text == "" {
		return true
	}
	if len(text) > utf8.UTFMax*w.limit && w.unit != channels.UnitGraphemes { // they count a quarter of the bytes at least
		return false
	}
	total := w.provisional + w.transition(w.pending, r.styles) + w.measure(text, r.raw)
	if total+w.closing(r.styles) > w.limit {
		return false
	}
	w.used, w.provisional = total, total
	w.pending = r.styles
	w.started, w.end = true, end
	return true
}

// graphemes takes one grapheme after the other; true: all of them fitted.
func (w *walker) graphemes() bool {
	for w.at.run < len(w.cutter.runs) {
		r := &w.cutter.runs[w.at.run]
		switch {
		case r.rank != rankNone:
			w.gap(r)
		case r.code:
			if !w.codeText(w.rest(), r) {
				return false
			}
		case r.atom != 0 && w.at.off == 0 && w.whole(r.atom):
			continue
		case r.atom != 0 && w.at.off == 0 && w.started:
			w.best[rankNone] = candidate{end: w.end, resume: w.at, size: w.used}
			return false
		default:
			if !w.plainText(w.rest(), r) {
				return false
			}
		}
		w.at = place{run: w.at.run + 1}
	}
	return true
}

// whole takes all of an atom, or nothing of it.
func (w *walker) whole(atom int) bool {
	probe := *w
	for probe.at.run < len(w.cutter.runs) {
		r := &w.cutter.runs[probe.at.run]
		if r.atom != atom {
			break
		}
		if !probe.add(probe.rest(), r, place{run: probe.at.run + 1}) {
			return false
		}
		probe.at = place{run: probe.at.run + 1}
	}
	*w = probe
	return true
}

func (w *walker) plainText(text string, r *run) bool {
	state := -1
	for text != "" {
		var cluster string
		var bounds int
		cluster, text, bounds, state = uniseg.StepString(text, state)
		next := place{run: w.at.run, off: w.at.off + len(cluster)}
		last, _ := utf8.DecodeLastRuneInString(cluster)
		space := unicode.IsSpace(last) && !isNoBreak(last)
		if space {
			w.offer(rankWord, skipTo(w.at))
			w.hold(cluster, r)
		} else if !w.add(cluster, r, next) {
			return w.crumble(cluster, r)
		}
		w.at = next
		if text == "" {
			break // whether this is a boundary depends on the next run
		}
		if bounds&uniseg.MaskSentence != 0 {
			if space { // the sentence ended before the white space
				w.best[rankSentence] = w.best[rankWord]
			} else {
				w.offer(rankSentence, skipTo(next))
			}
		}
		if !space && bounds&uniseg.MaskLine == uniseg.LineCanBreak {
			w.offer(rankSoft, skipTo(next))
		}
	}
	return true
}

func (w *walker) codeText(text string, r *run) bool {
	for text != "" {
		cluster, rest, _, _ := uniseg.FirstGraphemeClusterInString(text, -1)
		next := place{run: w.at.run, off: w.at.off + len(cluster)}
		switch {
		case cluster == "\n" || cluster == "\r\n":
			w.offer(rankLine, next)
			w.hold(cluster, r)
		case cluster == " " || cluster == "\t":
			w.offer(rankWord, w.at)
			w.hold(cluster, r)
		default:
			if !w.add(cluster, r, next) {
				return w.crumble(cluster, r)
			}
		}
		w.at, text = next, rest
	}
	return true
}

// crumble ends the part before a grapheme that does not fit, or, where the
// grapheme alone is longer than a part, inside it.
func (w *walker) crumble(cluster string, r *run) bool {
	if !w.started && w.provisional == 0 {
		for _, char := range cluster {
			next := place{run: w.at.run, off: w.at.off + utf8.RuneLen(char)}
			if !w.add(string(char), r, next) {
				break
			}
			w.at = next
		}
	}
	// With nothing visible in it, the part is white space longer than the
	// limit: it goes.
	w.best[rankNone] = candidate{end: w.end, resume: w.at, size: w.used}
	return false
}

// structural is the best cut between blocks. A line break counts where it
// leaves the part reasonably full.
func (w *walker) structural() (candidate, bool) {
	for r := rankSection; r > rankLine; r-- {
		if w.best[r].size > 0 {
			return w.best[r], true
		}
	}
	return w.best[rankLine], w.filled(rankLine)
}

// filled reports a cut that leaves the part at least a third full.
func (w *walker) filled(r rank) bool { return w.best[r].size*3 >= w.limit }

// textual is the best cut inside a paragraph: the highest rank that leaves the
// part reasonably full, else the latest that is no cut in a word. A line of
// code is cut only where it is longer than a part.
func (w *walker) textual() candidate {
	if best, ok := w.structural(); ok {
		return best
	}
	if w.cutter.runs[w.at.run].code && w.best[rankLine].size > 0 {
		return w.best[rankLine]
	}
	for r := rankLine; r >= rankSoft; r-- {
		if w.filled(r) {
			return w.best[r]
		}
	}
	best := w.best[rankWord]
	for _, r := range []rank{rankLine, rankSentence} {
		if w.best[r].size > best.size {
			best = w.best[r]
		}
	}
	if best.size == 0 {
		best = w.best[rankNone]
	}
	return best
}

// skipTo is a place from which white space is not text.
func skipTo(p place) place { return place{run: p.run, off: p.off, skip: true} }

func isNoBreak(r rune) bool { return r == '\u00a0' || r == '\u202f' || r == '\u2007' }
