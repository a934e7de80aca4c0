package omni

import (
	"errors"
	"strings"
)

// A glob is a text in which * stands for any characters, or none; \* is the
// star itself and \\ the backslash.

var errBackslash = errors.New(`a backslash may only stand before * or \`)

// CheckGlob says what is wrong with a glob.
func CheckGlob(p string) error {
	for i := 0; i < len(p); i++ {
		if p[i] != '\\' {
			continue
		}
		if i++; i == len(p) || p[i] != '*' && p[i] != '\\' {
			return errBackslash
		}
	}
	return nil
}

// EscapeGlob makes the glob that only s matches.
func EscapeGlob(s string) string { return strings.NewReplacer(`\`, `\\`, `*`, `\*`).Replace(s) }

// globPrefix is what every text that matches begins with; whole, where there
// is no star and the prefix is all.
func globPrefix(p string) (prefix string, whole bool) {
	var b strings.Builder
	for i := 0; i < len(p); i++ {
		if p[i] == '*' {
			return b.String(), false
		}
		if p[i] == '\\' && i+1 < len(p) {
			i++
		}
		b.WriteByte(p[i])
	}
	return b.String(), true
}

// globMatch reports whether a glob matches all of s. Each star first stands for
// as little as possible; only the last one is ever gone back to, so the time is
// at most the product of the lengths.
func globMatch(p, s string) bool {
	star, from := -1, 0
	i, j := 0, 0
	for j < len(s) {
		if i < len(p) && p[i] == '*' {
			star, from = i, j
			i++
			continue
		}
		if i < len(p) {
			c, width := p[i], 1
			if c == '\\' && i+1 < len(p) {
				c, width = p[i+1], 2
			}
			if c == s[j] {
				i, j = i+width, j+1
				continue
			}
		}
		if star < 0 {
			return false
		}
		from++
		i, j = star+1, from
	}
	return strings.Trim(p[i:], "*") == ""
}
