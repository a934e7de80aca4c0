package omni

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"

	"github.com/omnihub/omni/channels"
)

// MaxParts is how many bubbles an answer, or one request, becomes at most: a
// model that loses itself in paragraphs must not fill anybody's phone.
const MaxParts = 50

// SplitOptions say how a channel wants an answer cut into parts.
type SplitOptions struct {
	MaxLength int                 // of one part, in Unit; 0: no limit, below minMaxLength counts as that
	Unit      channels.LengthUnit // "" counts as runes
	Markup    channels.Markup     // what the Markdown of an agent becomes; "" and unknown ones stay as written
	Auto      bool                // each paragraph is a part of its own
	MaxParts  int                 // with Auto: paragraphs share parts where there would be more; 0: no limit
}

// minMaxLength is the smallest limit that Split keeps: the longest single
// character of any markup ("&amp;") must fit. No platform has a limit near it.
const minMaxLength = 8

// Split cuts an agent's answer into the parts that are sent one by one.
//
// The text is Markdown. It becomes the channel's markup before anything is
// measured. With Auto each paragraph (blank line between) is one part, code
// blocks and lists whole; without it, parts are only made where the text is
// over the limit. What must be cut is cut between paragraphs, then between
// list items, lines, sentences and words; a code block that is cut is closed
// and reopened; a grapheme is cut only when it is longer than a whole part.
//
// No part is blank or over the limit, and no text is lost: white space around
// a cut is all that goes. A blank text has no parts. Where MaxParts and
// MaxLength cannot both hold, MaxLength does.
func Split(text string, opt SplitOptions) []string {
	text = CleanText(text)
	if isBlank(text) {
		return nil
	}
	if opt.MaxLength > 0 {
		opt.MaxLength = max(opt.MaxLength, minMaxLength)
	}
	d, converts := dialects[opt.Markup]
	if !converts {
		return joined(splitVerbatim(text, opt), opt)
	}
	return joined(splitConverted(text, opt, d), opt)
}

func splitVerbatim(text string, opt SplitOptions) []string {
	if !opt.Auto {
		if fits(text, opt.MaxLength, opt.Unit) {
			return []string{text}
		}
		return cutRuns(verbatimFlow(text, opt.MaxLength), opt, nil)
	}
	var parts []string
	for _, s := range sections(text) {
		source := text[s.start:s.end]
		if fits(source, opt.MaxLength, opt.Unit) {
			parts = append(parts, source)
			continue
		}
		parts = append(parts, cutRuns(verbatimFlow(source, opt.MaxLength), opt, nil)...)
	}
	return dropBlank(parts)
}

func splitConverted(text string, opt SplitOptions, d *dialect) []string {
	if !opt.Auto {
		return orSource(cutRuns(convertedFlow(text, d, opt.MaxLength), opt, d.escape), text, opt, d)
	}
	var parts []string
	for _, s := range sections(text) {
		if source := text[s.start:s.end]; !isRule(source) { // parts are apart already
			parts = append(parts, cutRuns(convertedFlow(source, d, opt.MaxLength), opt, d.escape)...)
		}
	}
	return orSource(parts, text, opt, d)
}

// orSource keeps a text that is nothing but markup ("#", "---") from
// vanishing: it is sent as it was written.
func orSource(parts []string, text string, opt SplitOptions, d *dialect) []string {
	parts = dropBlank(parts)
	if slices.ContainsFunc(parts, func(p string) bool { return showsText(p, opt.Markup) }) {
		return parts
	}
	f := &flow{}
	plainLines(f, text)
	return dropBlank(cutRuns(d.settle(f.runs), opt, d.escape))
}

// htmlTag is a tag of a text whose own angle brackets are escaped.
var htmlTag = regexp.MustCompile(`<[^<>]*>`)

// showsText reports whether a part is more than its own marks: Telegram refuses
// a message of empty tags.
func showsText(part string, m channels.Markup) bool {
	if m == channels.MarkupTelegramHTML {
		part = htmlTag.ReplaceAllString(part, "")
	}
	return !isBlank(part)
}

func dropBlank(parts []string) []string {
	kept := parts[:0]
	for _, p := range parts {
		if !isBlank(p) {
			kept = append(kept, p)
		}
	}
	return kept
}

// CleanText makes a text storable and sendable: broken UTF-8 becomes U+FFFD,
// NUL goes.
func CleanText(text string) string {
	if !utf8.ValidString(text) {
		text = strings.ToValidUTF8(text, "\uFFFD")
	}
	if strings.IndexByte(text, 0) >= 0 {
		text = strings.ReplaceAll(text, "\x00", "")
	}
	return text
}

// isBlank reports a text of which nothing would be seen.
func isBlank(text string) bool {
	for _, r := range text {
		if !unicode.IsSpace(r) && !unicode.In(r, unicode.Cc, unicode.Cf) {
			return false
		}
	}
	return true
}

// Length counts a text in a platform's unit.
func Length(text string, unit channels.LengthUnit) int {
	switch unit {
	case channels.UnitBytes:
		return len(text)
	case channels.UnitGraphemes:
		return uniseg.GraphemeClusterCount(text)
	case channels.UnitUTF16:
		n := 0
		for _, r := range text {
			if n++; r > 0xFFFF {
				n++
			}
		}
		return n
	default:
		return utf8.RuneCountInString(text)
	}
}

func fits(text string, limit int, unit channels.LengthUnit) bool {
	// No unit counts more than the bytes.
	return limit <= 0 || len(text) <= limit || Length(text, unit) <= limit
}
