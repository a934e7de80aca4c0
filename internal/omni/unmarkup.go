package omni

import (
	"html"
	"regexp"
	"strings"

	"github.com/omnihub/omni/channels"
)

// Unconvert turns a part that was converted for a channel back into Markdown,
// so that an agent sees in its history what it would write itself.
func Unconvert(text string, markup channels.Markup) string {
	switch markup {
	case channels.MarkupTelegramHTML:
		text = telegramLinkTag.ReplaceAllString(text, "[$2]($1)")
		text = telegramPreTag.ReplaceAllString(text, "```$1\n")
		return html.UnescapeString(telegramTags.Replace(text))
	case channels.MarkupMrkdwn:
		return eachOutsideCode(text, func(s string) string {
			return unmarked(slackLinkTag.ReplaceAllString(s, "[$2]($1)"))
		}, htmlUnescaper.Replace)
	case channels.MarkupWhatsApp:
		return eachOutsideCode(text, unmarked, nil)
	case channels.MarkupDiscord:
		return unseen.Replace(text)
	default:
		return text
	}
}

var (
	telegramLinkTag = regexp.MustCompile(`(?s)<a href="([^"]*)">(.*?)</a>`)
	telegramPreTag  = regexp.MustCompile(`<pre>(?:<code class="language-([^"]*)">)?`)
	telegramTags    = strings.NewReplacer("<b>", "**", "</b>", "**", "<i>", "*", "</i>", "*", "<s>", "~~", "</s>", "~~",
		"</code></pre>", "\n```", "</pre>", "\n```", "<code>", "`", "</code>", "`", "<blockquote>", "> ", "</blockquote>", "")

	slackLinkTag  = regexp.MustCompile(`<([a-z]+:[^|>\s]+)\|([^>]*)>`)
	htmlUnescaper = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&")

	codeOrText = regexp.MustCompile("(?s)```.*?```|`[^`\n]+`")
	boldMarks  = regexp.MustCompile(`(^|[^\pL\pN\\*])\*([^\s*](?:[^*\n]*[^\s*])?)\*`)
	strikes    = regexp.MustCompile(`(^|[^\pL\pN\\~])~([^\s~](?:[^~\n]*[^\s~])?)~`)
	unseen     = strings.NewReplacer(zeroWidth, "", softHyphen, "", hairSpace, "")
)

// unmarked turns the marks of Slack and WhatsApp into those of Markdown; _
// is the same in both.
func unmarked(text string) string {
	text = boldMarks.ReplaceAllString(text, "$1**$2**")
	text = strikes.ReplaceAllString(text, "$1~~$2~~")
	return unseen.Replace(text)
}

// eachOutsideCode applies convert to what is not code, then after to all.
func eachOutsideCode(text string, convert, after func(string) string) string {
	var b strings.Builder
	at := 0
	for _, m := range codeOrText.FindAllStringIndex(text, -1) {
		b.WriteString(convert(text[at:m[0]]))
		b.WriteString(text[m[0]:m[1]])
		at = m[1]
	}
	b.WriteString(convert(text[at:]))
	if after == nil {
		return b.String()
	}
	return after(b.String())
}
