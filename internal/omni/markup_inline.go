package omni

import (
	"bytes"
	"html"
	"regexp"
	"strings"

	"github.com/yuin/goldmark/ast"
	extast "github.com/yuin/goldmark/extension/ast"
	htmlrenderer "github.com/yuin/goldmark/renderer/html"
	"github.com/yuin/goldmark/util"
)

func (c *converter) inlines(parent ast.Node, in around) {
	for n := parent.FirstChild(); n != nil; n = n.NextSibling() {
		c.inline(n, in)
	}
}

func (c *converter) inline(n ast.Node, in around) {
	switch n := n.(type) {
	case *ast.Text:
		c.literal(n, in)
	case *ast.String:
		c.text(string(n.Value), in.styles)
	case *ast.CodeSpan:
		c.codeSpanned(n, in)
	case *ast.Emphasis:
		mark := c.italic
		if n.Level >= 2 {
			mark = c.bold
		}
		c.marked(n, mark, in)
	case *extast.Strikethrough:
		c.marked(n, c.strike, in)
	case *extast.TaskCheckBox:
		box := "☐ "
		if n.IsChecked {
			box = "☑ "
		}
		c.text(box, in.styles)
	case *ast.Link:
		c.linked(n, string(n.Destination), in)
	case *ast.Image:
		c.linked(n, string(n.Destination), in)
	case *ast.AutoLink:
		c.address(string(n.Label(c.src)), in) // platforms find bare addresses themselves
	case *ast.RawHTML:
		c.rawHTML(n, in)
	default:
		c.inlines(n, in)
	}
}

func (c *converter) literal(n *ast.Text, in around) {
	value := n.Segment.Value(c.src)
	if !n.IsRaw() && bytes.ContainsAny(value, `\&`) {
		// The renderer knows how escapes and entities resolve; what it
		// escapes for HTML is taken back.
		var b bytes.Buffer
		w := util.BufWriter(&bufWriter{&b})
		htmlrenderer.DefaultWriter.Write(w, value)
		value = []byte(html.UnescapeString(b.String()))
	}
	c.prose(string(value), in.styles)
	switch {
	case !n.SoftLineBreak() && !n.HardLineBreak():
	case in.label:
		c.text(" ", in.styles)
	default:
		c.lineBreak(false, rankLine, in)
	}
}

func (c *converter) marked(n ast.Node, mark *style, in around) {
	if !in.label || !c.plainLabels {
		in.styles = push(in.styles, mark)
	}
	c.inlines(n, in)
}

func (c *converter) codeSpanned(n *ast.CodeSpan, in around) {
	code := c.codeText(n)
	var mark *style
	if c.codeSpan != nil && !in.label && !isBlank(code) {
		mark = c.codeSpan(code)
	}
	if mark == nil {
		c.text(code, in.styles)
		return
	}
	if c.codeIsPlain {
		in.styles = c.unmarked(in.styles)
	}
	c.add(run{text: code, styles: push(in.styles, mark), raw: true})
}

// address adds a URL as it is, but for what would begin code.
func (c *converter) address(to string, in around) {
	if c.bold != nil && c.bold.mark {
		to = strings.ReplaceAll(to, "`", "%60")
	}
	c.whole(func() { c.add(run{text: to, styles: in.styles, raw: true}) })
}

// bufWriter gives a buffer the methods of a bufio.Writer.
type bufWriter struct{ *bytes.Buffer }

func (*bufWriter) Buffered() int { return 0 }
func (*bufWriter) Flush() error  { return nil }

func (c *converter) codeText(n *ast.CodeSpan) string {
	var b strings.Builder
	for t := n.FirstChild(); t != nil; t = t.NextSibling() {
		if t, ok := t.(*ast.Text); ok {
			b.Write(t.Segment.Value(c.src))
		}
	}
	return strings.NewReplacer("\r\n", " ", "\n", " ").Replace(b.String())
}

// linked adds a link: as the platform's own, or with the URL behind the text.
func (c *converter) linked(n ast.Node, to string, in around) {
	label := c.label(n)
	switch {
	case in.label: // a link in a link, such as a badge: the outer one counts
		if label == "" {
			label = to
		}
		c.text(label, in.styles)
		return
	case strings.TrimSpace(label) == "":
		c.address(to, in)
		return
	}
	in.label = true
	if c.link != nil {
		if mark := c.link(to, label); mark != nil && (c.limit <= 0 || len(mark.open)+len(mark.close) <= c.limit/4) {
			in.styles = push(in.styles, mark)
			c.whole(func() { c.inlines(n, in) })
			return
		}
	}
	if label == to {
		c.address(to, in)
		return
	}
	c.whole(func() { c.inlines(n, in) })
	if label != "" && to != "" && "mailto:"+label != to {
		c.text(" ", in.styles)
		c.whole(func() {
			c.text("(", in.styles)
			c.address(to, in)
			c.text(")", in.styles)
		})
	}
}

// label is the text of a link without any marks.
func (c *converter) label(n ast.Node) string {
	inner := &converter{flow: &flow{}, dialect: &plainText, src: c.src}
	inner.inlines(n, around{label: true})
	var b strings.Builder
	for _, r := range inner.runs {
		b.WriteString(r.text)
	}
	return b.String()
}

var lineBreakTag = regexp.MustCompile(`(?i)^<br\s*/?>$`)

func (c *converter) rawHTML(n *ast.RawHTML, in around) {
	var b strings.Builder
	for i := range n.Segments.Len() {
		s := n.Segments.At(i)
		b.Write(s.Value(c.src))
	}
	if lineBreakTag.MatchString(b.String()) && !in.label {
		c.lineBreak(false, rankLine, in)
		return
	}
	c.text(strings.ReplaceAll(b.String(), "\n", " "), in.styles)
}
