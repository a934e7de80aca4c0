package omni

import (
	"strings"

	"github.com/omnihub/omni/channels"
)

// escaper makes text safe to stand between marks. raw text is code or a URL.
type escaper func(text string, raw bool) string

// dialect is how one platform wants formatted text: the marks around it, and
// what of the text itself must be escaped. A nil style means the platform has
// none: the text stays, without marks.
type dialect struct {
	escape                      escaper // nil: text stays as it is
	bold, italic, strike, quote *style
	heading                     func(level int) *style        // nil: bold
	codeSpan                    func(code string) *style      // a nil result: as text
	codeBlock                   func(language string) *style  // nil: as text
	link                        func(to, label string) *style // nil, or a nil result: the URL is written out
	bullet                      string
	number                      string            // what follows the number of an item; "": as written
	byLine                      bool              // no mark goes over a line break, and a quote is marked line by line
	plainLabels                 bool              // there are no marks within a link
	codeIsPlain                 bool              // code stands in no other mark but a quote
	tight                       bool              // marks format only at the edge of a word, and literal ones cannot be escaped
	lineStart                   func(string) bool // whether a text that begins a line would be taken for markup
}

// dialects are the markups that Markdown is converted to. What is not here is
// sent as the agent wrote it.
var dialects = map[channels.Markup]*dialect{
	channels.MarkupPlain:        &plainText,
	channels.MarkupTelegramHTML: &telegramHTML,
	channels.MarkupMrkdwn:       &slackMrkdwn,
	channels.MarkupWhatsApp:     &whatsApp,
	channels.MarkupDiscord:      &discordMarkdown,
}

var plainText = dialect{quote: linePrefix, bullet: "• ", byLine: true}

// linePrefix is a quote that is marked line by line: it is opened again on
// each.
var linePrefix = &style{open: "> "}

// mark is a style of one mark on both sides.
func mark(s string) *style { return &style{open: s, close: s, mark: true} }

// fenced is the code block of platforms that know no languages.
func fenced(string) *style { return &style{open: "```\n", close: "\n```"} }

// fencedIn is the code block of platforms that do.
func fencedIn(language string) *style {
	if !languageName.MatchString(language) {
		language = ""
	}
	return &style{open: "```" + language + "\n", close: "\n```"}
}

// tick is inline code: between single backticks, or, where it holds some
// itself, between three.
func tick(code string) *style {
	if strings.Contains(code, "`") {
		return ticks("```", code)
	}
	return mark("`")
}

// ticks is inline code between several backticks; nil where it holds as many.
// A space on both sides, which CommonMark does not count, keeps a backtick of
// the code off the fence, wherever the code is cut.
func ticks(fence, code string) *style {
	if strings.Contains(code, fence) {
		return nil
	}
	return &style{open: fence + " ", close: " " + fence, mark: true}
}

// unfenced keeps three backticks in code from closing the block.
func unfenced(code string) string {
	for strings.Contains(code, "```") { // what is left of a longer run may meet the next one
		code = strings.ReplaceAll(code, "```", "``"+zeroWidth+"`")
	}
	return code
}

// Characters that nobody sees. A zero-width space lets a mark stand at the
// edge of a word; a soft hyphen keeps a line from beginning with a mark; next
// to a hair space, as next to any white space, a mark is a mere character.
const (
	zeroWidth  = "\u200b"
	softHyphen = "\u00ad"
	hairSpace  = "\u200a"
)

// Convert turns Markdown into a channel's markup, in one piece. Markups that
// Split leaves alone are left alone here too.
func Convert(text string, markup channels.Markup) string {
	parts := Split(text, SplitOptions{Markup: markup})
	return strings.Join(parts, "\n\n")
}
