package omni

import (
	"regexp"
	"strings"

	"github.com/rivo/uniseg"
)

var tableRule = regexp.MustCompile(`^[ \t]*\|?[ \t]*:?-+:?[ \t]*(\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$`)

func isTableRule(line string) bool {
	return strings.Contains(line, "|") && tableRule.MatchString(strings.TrimRight(line, "\r\n"))
}

// isTable reports a paragraph that is a table.
func isTable(lines string) bool {
	head, rest, _ := strings.Cut(lines, "\n")
	rule, _, _ := strings.Cut(rest, "\n")
	return strings.Contains(head, "|") && isTableRule(rule)
}

// apartTables puts a blank line between a table and the text that leads to it.
// Models often forget it.
func apartTables(source string) string {
	if !strings.Contains(source, "|") {
		return source
	}
	var open fence
	lines := strings.SplitAfter(source, "\n")
	var b strings.Builder
	for i, line := range lines {
		bare := strings.TrimRight(line, "\r\n")
		if open.open() {
			open = open.after(bare)
		} else {
			open = openFence(bare)
			if i > 0 && i+1 < len(lines) && strings.Contains(line, "|") && isTableRule(lines[i+1]) &&
				!isBlankLine(lines[i-1]) && !strings.Contains(lines[i-1], "|") && listMarker(bare) == 0 {
				b.WriteString("\n")
			}
		}
		b.WriteString(line)
	}
	return b.String()
}

// maxTableWidth is up to where columns are aligned: more would not fit on a
// screen anyway.
const maxTableWidth = 80

// table adds a table: where the platform has letters of one width, in aligned
// columns, else cell after cell.
func (c *converter) table(lines string, in around) {
	var rows [][]string
	for i, line := range strings.Split(lines, "\n") {
		if i != 1 { // the rule
			rows = append(rows, tableCells(line))
		}
	}
	if c.dialect.codeBlock == nil {
		for i, cells := range rows {
			if i > 0 {
				c.lineBreak(false, rankLine, in)
			}
			c.prose(strings.Join(cells, " | "), in.styles)
		}
		return
	}
	text := aligned(rows)
	if isBlank(text) {
		text = lines
	}
	c.preformatted(text, "", in)
}

// tableCells are the cells of one row without any marks.
func tableCells(line string) []string {
	line = strings.TrimPrefix(strings.TrimSpace(line), "|")
	var cells []string
	var cell strings.Builder
	for i := 0; i < len(line); i++ {
		switch {
		case line[i] == '\\' && i+1 < len(line) && line[i+1] == '|':
			cell.WriteByte('|')
			i++
		case line[i] == '|':
			cells = append(cells, cellText(cell.String()))
			cell.Reset()
		default:
			cell.WriteByte(line[i])
		}
	}
	if rest := cellText(cell.String()); rest != "" || len(cells) == 0 {
		cells = append(cells, rest)
	}
	return cells
}

func cellText(source string) string {
	source = strings.TrimSpace(source)
	if !strings.ContainsAny(source, "*_`~[<&\\") {
		return source
	}
	text := strings.Join(splitConverted(source, SplitOptions{}, &plainText), " ")
	return strings.TrimSpace(strings.ReplaceAll(text, "\n", " "))
}

// aligned writes rows as columns of one width with a line under the first.
func aligned(rows [][]string) string {
	var widths []int
	for _, cells := range rows {
		for i, cell := range cells {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], uniseg.StringWidth(cell))
		}
	}
	total := 0
	for _, w := range widths {
		total += w + 3
	}
	wide := total-3 > maxTableWidth
	var b strings.Builder
	for n, cells := range rows {
		if n > 0 {
			b.WriteByte('\n')
		}
		var line strings.Builder
		for i, cell := range cells {
			if i > 0 {
				line.WriteString(" | ")
			}
			line.WriteString(cell)
			if !wide {
				line.WriteString(strings.Repeat(" ", widths[i]-uniseg.StringWidth(cell)))
			}
		}
		b.WriteString(strings.TrimRight(line.String(), " "))
		if n == 0 && !wide {
			b.WriteByte('\n')
			for i, w := range widths {
				if i > 0 {
					b.WriteString("-|-")
				}
				b.WriteString(strings.Repeat("-", w))
			}
		}
	}
	return b.String()
}
