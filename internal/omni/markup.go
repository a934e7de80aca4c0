package omni

import (
	"html"
	"net/url"
	"regexp"
	"strings"

	"github.com/omnihub/omni/channels"
)

// dialect is how one platform wants formatted text: the marks around it, and
// what of the text itself must be escaped. A nil style means the platform has
// none: the text stays, without marks.
type dialect struct {
	escape                      func(string) string // nil: text stays as it is
	bold, italic, strike, quote *style
	codeSpan                    *style
	codeBlock                   func(language string) *style
	link                        func(url string) *style // nil, or a nil result: the URL is written out
}

// dialects are the markups that Markdown is converted to. What is not here is
// sent as the agent wrote it.
var dialects = map[channels.Markup]*dialect{
	channels.MarkupPlain: {},
	channels.MarkupTelegramHTML: {
		escape:    telegramEscaper.Replace,
		bold:      &style{"<b>", "</b>"},
		italic:    &style{"<i>", "</i>"},
		strike:    &style{"<s>", "</s>"},
		quote:     &style{"<blockquote>", "</blockquote>"},
		codeSpan:  &style{"<code>", "</code>"},
		codeBlock: telegramCodeBlock,
		link:      telegramLink,
	},
}

var telegramEscaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

var languageName = regexp.MustCompile(`^[A-Za-z0-9+#_.-]{1,20}$`)

func telegramCodeBlock(language string) *style {
	if !languageName.MatchString(language) {
		return &style{"<pre>", "</pre>"}
	}
	return &style{`<pre><code class="language-` + language + `">`, "</code></pre>"}
}

// telegramLink is nil for what Telegram would not make a link of.
func telegramLink(to string) *style {
	u, err := url.Parse(to)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "tg" {
		return nil
	}
	return &style{`<a href="` + html.EscapeString(to) + `">`, "</a>"}
}

// Convert turns Markdown into a channel's markup, in one piece. Markups that
// Split leaves alone are left alone here too.
func Convert(text string, markup channels.Markup) string {
	parts := Split(text, SplitOptions{Markup: markup})
	return strings.Join(parts, "\n\n")
}

// Unconvert turns a part that was converted for a channel back into Markdown,
// so that an agent sees in its history what it would write itself.
func Unconvert(text string, markup channels.Markup) string {
	if markup != channels.MarkupTelegramHTML {
		return text
	}
	text = telegramLinkTag.ReplaceAllString(text, "[$2]($1)")
	text = telegramPreTag.ReplaceAllString(text, "```$1\n")
	return html.UnescapeString(telegramTags.Replace(text))
}

var (
	telegramLinkTag = regexp.MustCompile(`(?s)<a href="([^"]*)">(.*?)</a>`)
	telegramPreTag  = regexp.MustCompile(`<pre>(?:<code class="language-([^"]*)">)?`)
	telegramTags    = strings.NewReplacer("<b>", "**", "</b>", "**", "<i>", "*", "</i>", "*", "<s>", "~~", "</s>", "~~",
		"</code></pre>", "\n```", "</pre>", "\n```", "<code>", "`", "</code>", "`", "<blockquote>", "> ", "</blockquote>", "")
)
