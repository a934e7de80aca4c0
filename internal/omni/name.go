package omni

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// named reports whether one of the names is said in a text, as a word of its
// own, or is among a platform's mentions. Case and diacritics make no
// difference.
func named(names []string, text string, mentions []string) bool {
	if len(names) == 0 {
		return false
	}
	text = foldName(withoutAddresses(text))
	for _, name := range names {
		name = foldName(strings.TrimPrefix(strings.TrimSpace(name), "@"))
		if name == "" {
			continue
		}
		if containsWord(text, name) || slices.ContainsFunc(mentions, func(s string) bool {
			return foldName(strings.TrimPrefix(s, "@")) == name
		}) {
			return true
		}
	}
	return false
}

// letters that Unicode does not take apart into a letter and a mark.
var plainLetters = strings.NewReplacer("ß", "ss", "æ", "ae", "œ", "oe", "ø", "o", "ł", "l", "đ", "d", "ð", "d", "þ", "th", "ħ", "h", "ı", "i", "ς", "σ")

// diacritics are the marks that may be left out in writing. Marks that are
// vowels of their own, as in the scripts of India, are not among them.
var diacritics = &unicode.RangeTable{R16: []unicode.Range16{
	{Lo: 0x0300, Hi: 0x036f, Stride: 1}, // Latin, Greek, Cyrillic
	{Lo: 0x0591, Hi: 0x05c7, Stride: 1}, // Hebrew points
	{Lo: 0x064b, Hi: 0x065f, Stride: 1}, // Arabic vowel signs
	{Lo: 0x0670, Hi: 0x0670, Stride: 1},
	{Lo: 0x1ab0, Hi: 0x1aff, Stride: 1},
	{Lo: 0x1dc0, Hi: 0x1dff, Stride: 1},
}}

// foldName makes texts comparable: no case, no diacritics, no wide forms.
func foldName(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.In(r, diacritics) && unicode.Is(unicode.M, r) {
			return -1
		}
		return r
	}, norm.NFKD.String(s))
	return plainLetters.Replace(strings.ToLower(s))
}

// withoutAddresses leaves out what holds a name without saying it: web and
// mail addresses.
func withoutAddresses(text string) string {
	if !strings.ContainsAny(text, "@/") && !strings.Contains(text, "www.") {
		return text
	}
	return strings.Join(slices.DeleteFunc(strings.Fields(text), func(w string) bool {
		user, host, _ := strings.Cut(w, "@")
		return strings.Contains(w, "://") || strings.HasPrefix(w, "www.") || user != "" && strings.Contains(host, ".")
	}), " ")
}

// containsWord reports whether text holds word not as a part of a longer one.
func containsWord(text, word string) bool {
	first, _ := utf8.DecodeRuneInString(word)
	last, _ := utf8.DecodeLastRuneInString(word)
	for from := 0; ; {
		i := strings.Index(text[from:], word)
		if i < 0 {
			return false
		}
		start, end := from+i, from+i+len(word)
		before, _ := utf8.DecodeLastRuneInString(strings.TrimRight(text[:start], "_"))
		after, _ := utf8.DecodeRuneInString(strings.TrimLeft(text[end:], "_"))
		if !oneWord(before, first) && !oneWord(last, after) {
			return true
		}
		_, n := utf8.DecodeRuneInString(text[start:])
		from = start + n
	}
}

// oneWord reports whether two letters side by side belong to the same word. In
// scripts that put no space between words nobody can tell, so they do not.
func oneWord(a, b rune) bool {
	return inWord(a) && inWord(b) && !unspaced(a) && !unspaced(b)
}

func inWord(r rune) bool {
	return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r))
}

func unspaced(r rune) bool {
	return unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar)
}
