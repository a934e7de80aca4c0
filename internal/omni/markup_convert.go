package omni

import (
	"slices"
	"strconv"
	"strings"

	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
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
		util.Prioritized(extension.NewTaskCheckBoxParser(), 0),
		util.Prioritized(wideEmphasis{}, 450), // before the emphasis of CommonMark
		util.Prioritized(extension.NewStrikethroughParser(), 500),
		util.Prioritized(extension.NewLinkifyParser(), 999))...),
)

// convertedFlow makes runs of Markdown in a platform's markup.
func convertedFlow(source string, d *dialect, limit int) []run {
	f := &flow{}
	all := sections(source)
	for i, s := range all {
		if i > 0 {
			f.gap("\n\n", afterSection(source, all[i-1]), nil)
		}
		if s := source[s.start:s.end]; !hasMarkup(s) || isHostile(s) || !convert(f, s, d, limit) {
			plainLines(f, s)
		}
	}
	return d.settle(f.runs)
}

func plainLines(f *flow, source string) {
	begin := len(f.runs)
	for line := range strings.Lines(source) {
		if len(f.runs) > begin {
			f.gap("\n", rankLine, nil)
		}
		f.prose(strings.TrimRight(line, "\r\n"), nil)
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

// Over what stands in each other on one line, and over brackets that never
// become links, the parser takes quadratic time; marks in each other are gone
// into one by one, and a stack that has no end ends the process. With more than
// this, a section stays as it is. In a code block all of it is mere text and there may be more;
// not without end, as the parser may see its end elsewhere than we do.
const (
	maxQuotes   = 16 // on a line
	maxItems    = 64 // list items that one line begins
	maxIndent   = 400
	maxBrackets = 1000 // of a section
	maxMarks    = 20_000

	maxCodeNesting  = 200 // quotes, and items
	maxCodeIndent   = 2000
	maxCodeBrackets = 10_000
	maxCodeMarks    = 100_000
)

func isHostile(source string) bool {
	var text, code hostility
	var open fence
	for line := range strings.Lines(source) {
		line = strings.TrimRight(line, "\r\n")
		if open.open() {
			open = open.after(line)
			code.add(line)
		} else {
			open = openFence(line)
			text.add(line)
		}
	}
	return text.quotes > maxQuotes || text.items > maxItems || text.indent > maxIndent || text.brackets > maxBrackets || text.marks > maxMarks ||
		code.quotes > maxCodeNesting || code.items > maxCodeNesting || code.indent > maxCodeIndent || code.brackets > maxCodeBrackets ||
		code.marks > maxCodeMarks
}

// hostility is what may be too much of some lines: at most on one of them, and
// in all of them.
type hostility struct {
	quotes, items, indent int
	brackets, marks       int
}

func (h *hostility) add(line string) {
	quotes, items, indent := nesting(line)
	h.quotes, h.items, h.indent = max(h.quotes, quotes), max(h.items, items), max(h.indent, indent)
	for i := range len(line) {
		switch line[i] {
		case '[':
			h.brackets++
		case '*', '_', '~':
			h.marks++
		}
	}
}

// nesting counts what a line stands in: quotes, list items that begin on it,
// and the columns between them, which may be of items that began before.
func nesting(line string) (quotes, items, indent int) {
	for i := 0; i < len(line); i++ {
		switch line[i] {
		case ' ':
			indent++
		case '\t':
			indent += 4
		case '>':
			quotes++
		default:
			end := itemMarker(line[i:])
			if end == 0 || items == 0 && isRule(line) {
				return quotes, items, indent
			}
			items++
			i += end - 1
		}
	}
	return quotes, items, indent
}

// itemMarker is the length of the mark of a list item that a text begins with,
// 0 where it is none.
func itemMarker(s string) int {
	i := 0
	for i < len(s) && i < 9 && s[i] >= '0' && s[i] <= '9' {
		i++
	}
	if i == len(s) || i == 0 && !strings.ContainsRune("-*+", rune(s[0])) || i > 0 && s[i] != '.' && s[i] != ')' {
		return 0
	}
	if i++; i < len(s) && s[i] != ' ' && s[i] != '\t' {
		return 0
	}
	return i
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
	src := []byte(apartTables(source))
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
	prefix string   // of every line but the first: indentation
	inner  string   // indentation within the quote
	quoted []*style // the quote, where it is marked line by line
	depth  int      // of lists
	label  bool     // within a link
}

// indented is around for the content of a list item.
func (in around) indented(by int) around {
	in.depth++
	if in.quoted != nil {
		in.inner += strings.Repeat(" ", by)
	} else {
		in.prefix += strings.Repeat(" ", by)
	}
	return in
}

func (c *converter) blocks(parent ast.Node, in around) {
	for n := parent.FirstChild(); n != nil; n = n.NextSibling() {
		if prev := n.PreviousSibling(); prev != nil {
			r := rankLine
			switch {
			case prev.Kind() == ast.KindHeading:
			case in.depth > 0:
				r = nested(in.depth)
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
	if isCode(n) && c.dialect.codeBlock != nil {
		in.prefix, in.inner, in.quoted = "", "", nil // it is set apart anyway
	}
	c.lineBreak(n.HasBlankPreviousLines(), r, in)
}

// lineBreak adds the gap between two lines.
func (c *converter) lineBreak(blank bool, r rank, in around) {
	styles := in.styles
	if c.byLine {
		styles = nil // they begin again on the next line
	}
	text := "\n" + in.prefix
	if blank {
		between := in.prefix
		if in.quoted != nil {
			between += ">"
		}
		text = "\n" + strings.TrimRight(between, " ") + text
	}
	c.gap(text, r, styles)
	c.text(in.inner, in.quoted)
}

func isCode(n ast.Node) bool {
	return n.Kind() == ast.KindFencedCodeBlock || n.Kind() == ast.KindCodeBlock
}

func (c *converter) block(n ast.Node, in around) {
	switch n := n.(type) {
	case *ast.Heading:
		var heading *style
		if c.heading != nil {
			heading = c.heading(n.Level)
		}
		if heading == nil {
			heading = c.bold
		}
		in.styles = push(in.styles, heading)
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
		in.styles = push(in.styles, c.quote)
		if c.byLine {
			in.quoted = in.styles
		}
		c.blocks(n, in)
	case *ast.List:
		c.list(n, in)
	case *ast.Paragraph, *ast.TextBlock:
		if lines := c.lines(n); isTable(lines) {
			c.table(lines, in)
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
	r := nested(in.depth)
	number := list.Start
	for n := list.FirstChild(); n != nil; n = n.NextSibling() {
		if n.PreviousSibling() != nil {
			c.newline(n, r, in)
		}
		marker := c.bullet
		if list.IsOrdered() {
			after := string(list.Marker)
			if c.number != "" {
				after = c.number
			}
			marker = strconv.Itoa(number) + after + " "
			number++
		}
		c.text(marker, in.styles)
		c.blocks(n, in.indented(max(2, len(marker)-1)))
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
	if c.dialect.codeBlock == nil {
		for i, line := range strings.Split(body, "\n") {
			if i > 0 {
				c.lineBreak(false, rankLine, in)
			}
			c.code(line, in.styles)
		}
		return
	}
	if c.byLine {
		body = unfenced(body)
	}
	c.code(body, push(c.unmarked(in.styles), c.dialect.codeBlock(language)))
}

// unmarked keeps of the styles what a code block may stand in.
func (c *converter) unmarked(styles []*style) []*style {
	if !c.byLine && slices.Contains(styles, c.quote) {
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
