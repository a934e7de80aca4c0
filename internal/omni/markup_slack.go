package omni

import "strings"

// slackMrkdwn is the mrkdwn of Slack's chat.postMessage. It has neither
// headings, lists nor tables, and nothing to escape a literal mark with.
var slackMrkdwn = dialect{
	escape:      func(text string, _ bool) string { return htmlEscaper.Replace(text) },
	bold:        mark("*"),
	italic:      mark("_"),
	strike:      mark("~"),
	quote:       linePrefix,
	codeSpan:    tick,
	codeBlock:   fenced,
	link:        slackLink,
	bullet:      "• ",
	byLine:      true,
	plainLabels: true,
	tight:       true,
	lineStart:   func(text string) bool { return strings.HasPrefix(text, ">") },
}

var slackURL = strings.NewReplacer("&", "&amp;", "<", "%3C", ">", "%3E", "|", "%7C", " ", "%20", "\n", "", "\r", "")

func slackLink(to, label string) *style {
	if !hasScheme(to, "http", "https", "mailto", "tel") || strings.TrimSpace(label) == "" {
		return nil
	}
	return &style{open: "<" + slackURL.Replace(to) + "|", close: ">"}
}
