package omni

import (
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
)

// wideEmphasis parses what is between asterisks. CommonMark wants white space
// outside a mark that has punctuation inside, which Chinese, Japanese and
// Korean do not write: "**標題：**正文" is emphasis here.
type wideEmphasis struct{}

var (
	_ parser.InlineParser       = wideEmphasis{}
	_ parser.DelimiterProcessor = wideEmphasis{}
)

// Trigger is called by the parser.
func (wideEmphasis) Trigger() []byte { return []byte{'*'} }

// IsDelimiter is called by the parser.
func (wideEmphasis) IsDelimiter(b byte) bool { return b == '*' }

// CanOpenCloser is called by the parser.
func (wideEmphasis) CanOpenCloser(opener, closer *parser.Delimiter) bool {
	return opener.Char == closer.Char
}

// OnMatch is called by the parser.
func (wideEmphasis) OnMatch(consumes int) ast.Node { return ast.NewEmphasis(consumes) }

// Parse is called by the parser.
func (w wideEmphasis) Parse(_ ast.Node, block text.Reader, pc parser.Context) ast.Node {
	before := block.PrecendingCharacter()
	line, segment := block.PeekLine()
	node := parser.ScanDelimiter(line, before, 1, w)
	if node == nil {
		return nil
	}
	after, _ := utf8.DecodeRune(line[node.OriginalLength:])
	if isWide(before) || isWide(after) {
		node.CanOpen = node.CanOpen || !unicode.IsSpace(after) && after != utf8.RuneError
		node.CanClose = node.CanClose || !unicode.IsSpace(before)
	}
	node.Segment = segment.WithStop(segment.Start + node.OriginalLength)
	block.Advance(node.OriginalLength)
	pc.PushDelimiter(node)
	return node
}

// isWide reports a character of a script that is written without spaces.
func isWide(r rune) bool {
	return r >= 0x1100 && r < 0x1F000 && uniseg.StringWidth(string(r)) == 2
}
