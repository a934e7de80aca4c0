package omni

import "strings"

func (c *cutter) measure(text string, raw bool) int {
	if c.escape != nil {
		text = c.escape(text, raw)
	}
	return Length(text, c.unit)
}

// transition is the length of what is written between text under one stack of
// styles and text under another.
func (c *cutter) transition(from, to []*style) int {
	n, shared := 0, sharedStyles(from, to)
	for _, s := range from[shared:] {
		n += Length(s.close, c.unit)
	}
	for _, s := range to[shared:] {
		n += Length(s.open, c.unit)
	}
	return n
}

func (c *cutter) closing(styles []*style) int { return c.transition(styles, nil) }

func sharedStyles(a, b []*style) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// render writes what is between two places, marks opened and closed.
func (c *cutter) render(from, to place) string {
	var b strings.Builder
	var stack []*style
	switchTo := func(styles []*style) {
		shared := sharedStyles(stack, styles)
		for i := len(stack) - 1; i >= shared; i-- {
			b.WriteString(stack[i].close)
		}
		for _, s := range styles[shared:] {
			b.WriteString(s.open)
		}
		stack = styles
	}
	w := walker{cutter: c, at: from}
	for w.at.run < len(c.runs) && w.at.run <= to.run {
		r := &c.runs[w.at.run]
		text := w.rest()
		if w.at.run == to.run {
			text = r.text[min(w.at.off, to.off):to.off]
		}
		if text != "" && (r.rank == rankNone || b.Len() > 0) {
			switchTo(r.styles)
			if c.escape != nil {
				text = c.escape(text, r.raw)
			}
			b.WriteString(text)
		}
		w.at = place{run: w.at.run + 1}
	}
	switchTo(nil)
	return b.String()
}

// strip takes the marks off the run at a place.
func (c *cutter) strip(at place) {
	for i := at.run; i < len(c.runs); i++ {
		if c.runs[i].styles = nil; c.runs[i].rank == rankNone && i > at.run {
			break
		}
	}
}
