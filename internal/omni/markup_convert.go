package omni

import (
	"bytes"
	"html"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	extast "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/parser"
	htmlrenderer "github.com/yuin/goldmark/renderer/html"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

// markdown parses what models write. Two things of CommonMark are left out,
// so that no text can vanish: blocks of HTML, and link reference definitions
// (which also would tie the paragraphs of an answer together).
var markdown = parser.NewParser(
	parser.WithBlockParsers(slices.DeleteFunc(parser.DefaultBlockParsers(), func(v util.PrioritizedValue) bool {
		return v.Value == parser.NewHTMLBlockParser()
	})...),
	parser.WithInlineParsers(append(parser.DefaultInlineParsers(),
		util.Prioritized(extension.NewStrikethroughParser(), 500))...),
)

// convertedFlow makes runs of Markdown in a platform's markup.
func convertedFlow(source string, d *dialect, limit int) []run {
	f := &flow{}
	for i, s := range sections(source) {
		if i > 0 {
			f.gap("\n\n", rankSection, nil)
		}
		if s := source[s.start:s.end]; !hasMarkup(s) || isHostile(s) || !convert(f, s, d, limit) {
			plainLines(f, s)
		}
	}
	return f.runs
}

func plainLines(f *flow, source string) {
	begin := len(f.runs)
	for line := range strings.Lines(source) {
		if len(f.runs) > begin {
			f.gap("\n", rankLine, nil)
		}
		f.text(strings.TrimRight(line, "\r\n"), nil)
	}
}

// hasMarkup reports whether a text may contain Markdown. Most of what is said
// in chats does not, and need not be parsed.
func hasMarkup(source string) bool {
	if strings.ContainsAny(source, "*_`~[<>#&\\|\t") {
		return true
	}
	for line := range strings.Lines(source) {
		trimmed := strings.TrimLeft(line, " ")
		if len(line)-len(trimmed) >= 4 || strings.HasPrefix(trimmed, "-") || strings.HasPrefix(trimmed, "=") ||
			listMarker(strings.TrimRight(line, "\r\n")) != 0 {
			return true
		}
	}
	return false
}

// Over quotes within quotes and over brackets that never become links the
// parser takes quadratic time: with more than this, a section stays as it is.
const (
	maxQuotes   = 16
	maxBrackets = 1000
)

func isHostile(source string) bool {
	brackets := 0
	var open fence
	for line := range strings.Lines(source) {
		line = strings.TrimRight(line, "\r\n")
		switch {
		case open.open():
			open = open.after(line)
		case strings.Count(line[:len(line)-len(strings.TrimLeft(line, "> \t"))], ">") > maxQuotes:
			return true
		default:
			open = openFence(line)
			brackets += strings.Count(line, "[")
		}
	}
	return brackets > maxBrackets
}

// convert adds the runs of one section, or nothing where the parser fails: a
// bug there must not cost the reply.
func convert(f *flow, source string, d *dialect, limit int) (ok bool) {
	begin := len(f.runs)
	defer func() {
		if recover() != nil {
			f.runs, ok = f.runs[:begin], false
		}
	}()
	src := []byte(source)
	c := &converter{flow: f, dialect: d, src: src, limit: limit}
	c.blocks(markdown.Parse(text.NewReader(src)), around{})
	return true
}

type converter struct {
	*flow
	*dialect
	src   []byte
	limit int
}

// around is what a block stands in.
type around struct {
	styles []*style
	prefix string // of every line but the first: indentation, quote marks
	depth  int    // of lists
}

func (c *converter) blocks(parent ast.Node, in around) {
	for n := parent.FirstChild(); n != nil; n = n.NextSibling() {
		if prev := n.PreviousSibling(); prev != nil {
			r := rankLine
			switch {
			case in.depth > 0:
				r = rankNested
			case isWhole(prev) || isWhole(n):
				r = rankBlock
			}
			c.newline(n, r, in)
		}
		c.block(n, in)
	}
}

// isWhole reports a block that is better not parted.
func isWhole(n ast.Node) bool { return n.Kind() == ast.KindList || isCode(n) }

// newline adds the gap before a block: a blank line where the source has one.
func (c *converter) newline(n ast.Node, r rank, in around) {
	breaks := "\n"
	if n.HasBlankPreviousLines() {
		breaks = "\n" + strings.TrimRight(in.prefix, " ") + "\n"
	}
	if isCode(n) && c.dialect.codeBlock != nil {
		in.prefix = "" // it is set apart anyway
	}
	c.gap(breaks+in.prefix, r, in.styles)
}

func isCode(n ast.Node) bool {
	return n.Kind() == ast.KindFencedCodeBlock || n.Kind() == ast.KindCodeBlock
}

func (c *converter) block(n ast.Node, in around) {
	switch n := n.(type) {
	case *ast.Heading:
		in.styles = push(in.styles, c.bold)
		c.inlines(n, in)
	case *ast.ThematicBreak:
		c.text("———", in.styles)
	case *ast.FencedCodeBlock:
		var info string
		if n.Info != nil {
			info = string(n.Info.Segment.Value(c.src))
		}
		c.codeBlock(n, string(n.Language(c.src)), info, in)
	case *ast.CodeBlock:
		c.codeBlock(n, "", "", in)
	case *ast.Blockquote:
		if c.quote != nil {
			in.styles = push(in.styles, c.quote)
		} else {
			c.text("> ", in.styles)
			in.prefix += "> "
		}
		c.blocks(n, in)
	case *ast.List:
		c.list(n, in)
	case *ast.Paragraph:
		if lines := c.lines(n); isTable(lines) {
			c.preformatted(lines, "", in)
			return
		}
		c.inlines(n, in)
	default:
		if n.Type() == ast.TypeBlock && n.FirstChild() != nil && n.FirstChild().Type() == ast.TypeBlock {
			c.blocks(n, in)
			return
		}
		c.inlines(n, in)
	}
}

func (c *converter) list(list *ast.List, in around) {
	r := rankItem
	if in.depth > 0 {
		r = rankNested
	}
	number := list.Start
	for n := list.FirstChild(); n != nil; n = n.NextSibling() {
		if n.PreviousSibling() != nil {
			c.newline(n, r, in)
		}
		marker := "• "
		if list.IsOrdered() {
			marker = strconv.Itoa(number) + string(list.Marker) + " "
			number++
		}
		c.text(marker, in.styles)
		c.blocks(n, around{styles: in.styles, prefix: in.prefix + strings.Repeat(" ", max(2, len(marker)-1)), depth: in.depth + 1})
	}
}

// lines is the source of a block.
func (c *converter) lines(n ast.Node) string {
	var b strings.Builder
	for i := range n.Lines().Len() {
		line := n.Lines().At(i)
		b.Write(line.Value(c.src))
	}
	return strings.TrimRight(b.String(), "\r\n")
}

func (c *converter) codeBlock(n ast.Node, language, info string, in around) {
	body := c.lines(n)
	if isBlank(body) {
		c.text(info, in.styles)
		return
	}
	c.preformatted(body, language, in)
}

func (c *converter) preformatted(body, language string, in around) {
	styles := c.unemphasised(in.styles)
	if c.dialect.codeBlock != nil {
		styles = push(styles, c.dialect.codeBlock(language))
	} else {
		body = strings.ReplaceAll(body, "\n", "\n"+in.prefix)
	}
	c.code(body, styles)
}

var tableRule = regexp.MustCompile(`^[ \t]*\|?[ \t]*:?-+:?[ \t]*(\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$`)

// isTable reports a paragraph that is a table: it is shown as it was written,
// in letters of one width.
func isTable(lines string) bool {
	head, rest, _ := strings.Cut(lines, "\n")
	rule, _, _ := strings.Cut(rest, "\n")
	return strings.Contains(head, "|") && strings.Contains(rule, "|") && tableRule.MatchString(strings.TrimRight(rule, "\r"))
}

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
		if c.codeSpan != nil {
			in.styles = push(c.unemphasised(in.styles), c.codeSpan)
		}
		c.text(c.codeText(n), in.styles)
	case *ast.Emphasis:
		mark := c.italic
		if n.Level >= 2 {
			mark = c.bold
		}
		in.styles = push(in.styles, mark)
		c.inlines(n, in)
	case *extast.Strikethrough:
		in.styles = push(in.styles, c.strike)
		c.inlines(n, in)
	case *ast.Link:
		c.linked(n, string(n.Destination), in)
	case *ast.Image:
		c.linked(n, string(n.Destination), in)
	case *ast.AutoLink:
		c.text(string(n.Label(c.src)), in.styles) // platforms find bare addresses themselves
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
	c.text(string(value), in.styles)
	if n.SoftLineBreak() || n.HardLineBreak() {
		c.gap("\n"+in.prefix, rankLine, in.styles)
	}
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
	begin := len(c.runs)
	if c.link != nil {
		if mark := c.link(to); mark != nil && (c.limit <= 0 || len(mark.open) <= c.limit/4) {
			in.styles = push(in.styles, mark)
			if c.inlines(n, in); len(c.runs) == begin {
				c.text(to, in.styles)
			}
			return
		}
	}
	c.inlines(n, in)
	var label strings.Builder
	for _, r := range c.runs[begin:] {
		label.WriteString(r.text)
	}
	switch label.String() {
	case to:
	case "":
		c.text(to, in.styles)
	default:
		c.text(" ("+to+")", in.styles)
	}
}

var lineBreakTag = regexp.MustCompile(`(?i)^<br\s*/?>$`)

func (c *converter) rawHTML(n *ast.RawHTML, in around) {
	var b strings.Builder
	for i := range n.Segments.Len() {
		s := n.Segments.At(i)
		b.Write(s.Value(c.src))
	}
	if lineBreakTag.MatchString(b.String()) {
		c.gap("\n"+in.prefix, rankLine, in.styles)
		return
	}
	c.text(strings.ReplaceAll(b.String(), "\n", " "), in.styles)
}

// unemphasised keeps of the styles what code may stand in.
func (c *converter) unemphasised(styles []*style) []*style {
	if c.quote != nil && slices.Contains(styles, c.quote) {
		return []*style{c.quote}
	}
	return nil
}

// push adds a style; one that is there already, or that the platform does not
// have, changes nothing.
func push(styles []*style, s *style) []*style {
	if s == nil || slices.Contains(styles, s) {
		return styles
	}
	return append(slices.Clip(styles), s)
}
