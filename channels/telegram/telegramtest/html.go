package telegramtest

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf16"
)

// Entity is one piece of markup; offset and length count UTF-16 units.
type Entity struct {
	Type     string `json:"type"`
	Offset   int    `json:"offset"`
	Length   int    `json:"length"`
	URL      string `json:"url,omitempty"`
	Language string `json:"language,omitempty"`
}

// entityOf are the tags that Telegram knows.
var entityOf = map[string]string{"b": "bold", "strong": "bold", "i": "italic", "em": "italic", "u": "underline", "ins": "underline",
	"s": "strikethrough", "strike": "strikethrough", "del": "strikethrough", "span": "spoiler", "tg-spoiler": "spoiler", "a": "text_link",
	"code": "code", "pre": "pre", "blockquote": "blockquote", "tg-emoji": "custom_emoji"}

var (
	openTag  = regexp.MustCompile(`^<([a-zA-Z][a-zA-Z0-9-]*)((?:\s+[a-zA-Z-]+(?:\s*=\s*(?:"[^"]*"|'[^']*'|[^\s"'>]+))?)*)\s*>`)
	closeTag = regexp.MustCompile(`^</([a-zA-Z][a-zA-Z0-9-]*)\s*>`)
	attr     = regexp.MustCompile(`([a-zA-Z-]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))`)
	charRef  = regexp.MustCompile(`^&(?:#(\d{1,7})|#x([0-9a-fA-F]{1,6})|(lt|gt|amp|quot));`)
)

type opened struct {
	tag    string
	at     int // byte in the source
	entity Entity
}

// ParseHTML reads Telegram's HTML: its few tags, properly nested, and nothing
// that looks like a tag otherwise. Errors are worded like Telegram's.
func ParseHTML(s string) (text string, entities []Entity, err error) {
	var out strings.Builder
	var stack []opened
	length := 0
	write := func(piece string) {
		out.WriteString(piece)
		length += len(utf16.Encode([]rune(piece)))
	}
	for i := 0; i < len(s); {
		rest := s[i:]
		switch {
		case strings.HasPrefix(rest, "</"):
			m := closeTag.FindStringSubmatch(rest)
			if m == nil {
				return "", nil, fmt.Errorf("unclosed end tag at byte offset %d", i)
			}
			tag := strings.ToLower(m[1])
			if len(stack) == 0 {
				return "", nil, fmt.Errorf("unexpected end tag at byte offset %d", i)
			}
			top := stack[len(stack)-1]
			if top.tag != tag {
				return "", nil, fmt.Errorf("unmatched end tag at byte offset %d, expected \"</%s>\", found \"</%s>\"", i, top.tag, tag)
			}
			stack = stack[:len(stack)-1]
			if top.entity.Length = length - top.entity.Offset; top.entity.Length > 0 {
				entities = append(entities, top.entity)
			}
			i += len(m[0])
		case strings.HasPrefix(rest, "<"):
			m := openTag.FindStringSubmatch(rest)
			if m == nil {
				return "", nil, fmt.Errorf("unsupported start tag %q at byte offset %d", firstWord(rest[1:]), i)
			}
			o, err := open(strings.ToLower(m[1]), m[2], i, length)
			if err != nil {
				return "", nil, err
			}
			stack = append(stack, o)
			i += len(m[0])
		case strings.HasPrefix(rest, "&"):
			piece, n := decodeRef(rest)
			write(piece)
			i += n
		default:
			n := strings.IndexAny(rest, "<&")
			if n < 0 {
				n = len(rest)
			}
			write(rest[:n])
			i += n
		}
	}
	if len(stack) > 0 {
		return "", nil, fmt.Errorf("can't find end tag corresponding to start tag %q", stack[len(stack)-1].tag)
	}
	return out.String(), entities, nil
}

func open(tag, attrs string, at, offset int) (opened, error) {
	kind, ok := entityOf[tag]
	if !ok {
		return opened{}, fmt.Errorf("unsupported start tag %q at byte offset %d", tag, at)
	}
	e := Entity{Type: kind, Offset: offset}
	values := map[string]string{}
	for _, m := range attr.FindAllStringSubmatch(attrs, -1) {
		values[strings.ToLower(m[1])] = m[2] + m[3] + m[4]
	}
	switch tag {
	case "span":
		if values["class"] != "tg-spoiler" {
			return opened{}, fmt.Errorf("tag \"span\" must have class \"tg-spoiler\" at byte offset %d", at)
		}
	case "a":
		e.URL = values["href"]
	case "code":
		e.Language = strings.TrimPrefix(values["class"], "language-")
	}
	return opened{tag: tag, at: at, entity: e}, nil
}

// decodeRef reads a character reference; what is none is text.
func decodeRef(s string) (string, int) {
	m := charRef.FindStringSubmatch(s)
	switch {
	case m == nil:
		return "&", 1
	case m[1] != "":
		n, _ := strconv.ParseInt(m[1], 10, 32)
		return string(rune(n)), len(m[0])
	case m[2] != "":
		n, _ := strconv.ParseInt(m[2], 16, 32)
		return string(rune(n)), len(m[0])
	default:
		return map[string]string{"lt": "<", "gt": ">", "amp": "&", "quot": `"`}[m[3]], len(m[0])
	}
}

func firstWord(s string) string {
	if i := strings.IndexAny(s, " \t\n>"); i >= 0 {
		s = s[:i]
	}
	return s
}
