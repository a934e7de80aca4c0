package omni

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// settle makes runs safe for a platform whose marks are characters among
// characters: no mark touches white space on its inside or another mark, and
// no literal character is taken for one.
func (d *dialect) settle(runs []run) []run {
	if d.bold == nil || !d.bold.mark {
		return runs
	}
	out := make([]run, 0, len(runs)+len(runs)/4)
	for start := 0; start < len(runs); {
		end := start
		for end < len(runs) && runs[end].rank == rankNone {
			end++
		}
		out = append(out, settledLine(runs[start:end], d)...)
		for end < len(runs) && runs[end].rank != rankNone {
			out = append(out, runs[end])
			end++
		}
		start = end
	}
	return out
}

func settledLine(line []run, d *dialect) []run {
	line = outdented(line)
	if d.tight {
		neutralise(line)
	}
	if len(line) > 0 && !line[0].raw && d.lineStart != nil && d.lineStart(line[0].text) {
		line[0].text = softHyphen + line[0].text
	}
	return apart(line, d.tight)
}

// outdented moves white space out of marks, where it would break them.
func outdented(line []run) []run {
	out := make([]run, 0, len(line)+2)
	for i := range line {
		r := line[i]
		if r.raw {
			out = append(out, r)
			continue
		}
		var before, after []*style
		if len(out) > 0 {
			before = out[len(out)-1].styles
		}
		if i+1 < len(line) {
			after = line[i+1].styles
		}
		inner := strings.TrimLeftFunc(r.text, unicode.IsSpace)
		if lead := len(r.text) - len(inner); lead > 0 && marksFrom(before, r.styles) {
			out = append(out, r.part(r.text[:lead], r.styles[:sharedStyles(before, r.styles)]))
			r.text = inner
		}
		inner = strings.TrimRightFunc(r.text, unicode.IsSpace)
		var tail run
		if len(inner) < len(r.text) && marksFrom(after, r.styles) {
			tail = r.part(r.text[len(inner):], r.styles[:sharedStyles(after, r.styles)])
			r.text = inner
		}
		if r.text != "" {
			out = append(out, r)
		}
		if tail.text != "" {
			out = append(out, tail)
		}
	}
	return out
}

func (r *run) part(text string, styles []*style) run {
	p := *r
	p.text, p.styles = text, styles
	return p
}

// marksFrom reports whether going from one stack to another opens a mark.
func marksFrom(from, to []*style) bool {
	for _, s := range to[sharedStyles(from, to):] {
		if s.mark {
			return true
		}
	}
	return false
}

// apart puts a zero-width space where a mark would touch another one, or
// (tight) a letter on its outside.
func apart(line []run, tight bool) []run {
	out := make([]run, 0, len(line))
	for i := range line {
		if i > 0 {
			from, to := &line[i-1], &line[i]
			closes, opens := marksFrom(to.styles, from.styles), marksFrom(from.styles, to.styles)
			last, _ := utf8.DecodeLastRuneInString(from.text)
			first, _ := utf8.DecodeRuneInString(to.text)
			if closes && opens || tight && (opens && !isEdge(last) || closes && !isEdge(first)) {
				shared := sharedStyles(from.styles, to.styles)
				out = append(out, run{text: zeroWidth, styles: to.styles[:shared]})
			}
		}
		out = append(out, line[i])
	}
	return out
}

// isEdge reports a character next to which a mark is known to format.
func isEdge(r rune) bool {
	return unicode.IsSpace(r) || r < utf8.RuneSelf && r != '_' && (unicode.IsPunct(r) || unicode.IsSymbol(r)) ||
		strings.ContainsRune("…—–“”‘’"+zeroWidth, r)
}

// neutralise keeps literal characters of a line from being taken for marks.
func neutralise(line []run) {
	for _, m := range []rune{'*', '_', '~', '`'} {
		literal, marked := 0, 0
		for i := range line {
			if !line[i].raw {
				literal += strings.Count(line[i].text, string(m))
			}
			for _, s := range line[i].styles {
				if s.mark && strings.HasPrefix(s.open, string(m)) {
					marked++
				}
			}
		}
		switch {
		case literal == 0 || literal+marked < 2:
		case m == '`':
			for i := range line {
				if !line[i].raw {
					line[i].text = strings.ReplaceAll(line[i].text, "`", "ˋ") // there is nothing to escape it with
				}
			}
		case marked > 0 || hasCloser(line, m):
			spaceOut(line, m)
		}
	}
}

// hasCloser reports a literal character that could end emphasis.
func hasCloser(line []run, m rune) bool {
	found := false
	eachLiteral(line, m, func(before, after rune) string {
		found = found || !unicode.IsSpace(before) && !isWordRune(after)
		return ""
	})
	return found
}

// spaceOut sets a hair space within what could be the begin or end of
// emphasis.
func spaceOut(line []run, m rune) {
	eachLiteral(line, m, func(before, after rune) string {
		opens := !isWordRune(before) && !unicode.IsSpace(after)
		closes := !unicode.IsSpace(before) && !isWordRune(after)
		switch {
		case opens && closes:
			return hairSpace + string(m) + hairSpace
		case opens:
			return string(m) + hairSpace
		case closes:
			return hairSpace + string(m)
		}
		return ""
	})
}

// eachLiteral calls replace for every m of the line's text, with what stands
// before and after it; a result that is not empty takes its place.
func eachLiteral(line []run, m rune, replace func(before, after rune) string) {
	before := ' '
	for i := range line {
		if line[i].raw {
			before, _ = utf8.DecodeLastRuneInString(line[i].text)
			continue
		}
		var b strings.Builder
		text := line[i].text
		for at, r := range text {
			with := ""
			if r == m {
				with = replace(before, runeAfter(line[i:], at+1))
			}
			if with == "" {
				with = string(r)
			}
			b.WriteString(with)
			before = r
		}
		line[i].text = b.String()
	}
}

// runeAfter is the character at an offset of the first run, or the first one
// of the next.
func runeAfter(line []run, at int) rune {
	text := line[0].text[at:]
	if text == "" && len(line) > 1 {
		text = line[1].text
	}
	if text == "" {
		return ' '
	}
	r, _ := utf8.DecodeRuneInString(text)
	return r
}

func isWordRune(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsMark(r) }
