package omni

import (
	"html"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// telegramHTML is the HTML of Telegram's Bot API. Its limit counts what is
// left when tags and entities are parsed away; here they count too, so a part
// is never too long.
var telegramHTML = dialect{
	escape:      func(text string, _ bool) string { return htmlEscaper.Replace(text) },
	bold:        &style{open: "<b>", close: "</b>"},
	italic:      &style{open: "<i>", close: "</i>"},
	strike:      &style{open: "<s>", close: "</s>"},
	quote:       &style{open: "<blockquote>", close: "</blockquote>"},
	codeSpan:    func(string) *style { return telegramCode },
	codeBlock:   telegramCodeBlock,
	link:        telegramLink,
	bullet:      "• ",
	codeIsPlain: true,
}

var (
	htmlEscaper  = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")
	languageName = regexp.MustCompile(`^[A-Za-z0-9+#_.-]{1,20}$`)
	telegramCode = &style{open: "<code>", close: "</code>"}
)

func telegramCodeBlock(language string) *style {
	if !languageName.MatchString(language) {
		return &style{open: "<pre>", close: "</pre>"}
	}
	return &style{open: `<pre><code class="language-` + language + `">`, close: "</code></pre>"}
}

// telegramLink is nil for what Telegram would not make a link of.
func telegramLink(to, _ string) *style {
	if !hasScheme(to, "http", "https", "tg") {
		return nil
	}
	return &style{open: `<a href="` + html.EscapeString(to) + `">`, close: "</a>"}
}

func hasScheme(to string, schemes ...string) bool {
	u, err := url.Parse(to)
	return err == nil && slices.Contains(schemes, u.Scheme)
}
