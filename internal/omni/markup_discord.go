package omni

import (
	"regexp"
	"strings"
)

// discordMarkdown is the Markdown of Discord: no tables, images or headings
// below the third level, and __ underlines.
var discordMarkdown = dialect{
	escape:    discordEscape,
	bold:      mark("**"),
	italic:    mark("*"),
	strike:    mark("~~"),
	quote:     linePrefix,
	heading:   discordHeading,
	codeSpan:  discordCode,
	codeBlock: fencedIn,
	link:      discordLink,
	bullet:    "- ",
	number:    ".",
	byLine:    true,
	lineStart: discordLineStart.MatchString,
}

var (
	discordMarks     = strings.NewReplacer(`\`, `\\`, "*", `\*`, "_", `\_`, "~", `\~`, "`", "\\`", "|", `\|`, "[", `\[`, "]", `\]`)
	discordHeadings  = []*style{{open: "# "}, {open: "## "}, {open: "### "}}
	discordLineStart = regexp.MustCompile(`^(?:#{1,3} |-# |>)`)
	discordURL       = strings.NewReplacer("(", "%28", ")", "%29", " ", "%20", "<", "%3C", ">", "%3E", "\n", "", "\r", "")
)

func discordEscape(text string, raw bool) string {
	if raw {
		return text
	}
	return discordMarks.Replace(text)
}

func discordHeading(level int) *style {
	if level > len(discordHeadings) {
		return nil
	}
	return discordHeadings[level-1]
}

// discordCode is inline code between one backtick or two.
func discordCode(code string) *style {
	if strings.Contains(code, "`") {
		return ticks("``", code)
	}
	return mark("`")
}

// discordLink is nil for what Discord shows as it was written: a text that
// looks like a link itself.
func discordLink(to, label string) *style {
	if !hasScheme(to, "http", "https") || strings.Contains(label, "://") || strings.TrimSpace(label) == "" {
		return nil
	}
	return &style{open: "[", close: "](" + discordURL.Replace(to) + ")"}
}
