package omni

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

// IsEmoji reports whether s is one emoji, whatever it is composed of: one
// character as people see it that is no letter, digit, punctuation or space.
func IsEmoji(s string) bool {
	if !utf8.ValidString(s) || uniseg.GraphemeClusterCount(s) != 1 {
		return false
	}
	const keycap = '\u20E3' // "1" in a box
	if strings.ContainsRune(s, keycap) {
		return true
	}
	for _, r := range s {
		return r > unicode.MaxLatin1 && unicode.IsOneOf([]*unicode.RangeTable{unicode.So, unicode.Sm, unicode.Sk, unicode.Po}, r) ||
			r == '©' || r == '®'
	}
	return false
}

// sameEmoji compares emoji without the selector that asks for the coloured
// form: some platforms send it, some do not.
func sameEmoji(a, b string) bool {
	const variation = "\uFE0F"
	a, b = strings.ReplaceAll(a, variation, ""), strings.ReplaceAll(b, variation, "")
	return a != "" && a == b
}
