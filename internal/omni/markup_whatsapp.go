package omni

import "strings"

// whatsApp is the formatting of WhatsApp's messages. It has no headings, links
// or tables; URLs become links by themselves.
var whatsApp = dialect{
	bold:      mark("*"),
	italic:    mark("_"),
	strike:    mark("~"),
	quote:     linePrefix,
	codeSpan:  tick,
	codeBlock: fenced,
	bullet:    "- ",
	number:    ".",
	byLine:    true,
	tight:     true,
	lineStart: func(text string) bool { return strings.HasPrefix(text, ">") },
}
