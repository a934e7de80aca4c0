package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"sort"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"
)

// printer writes answers: JSON as it came, or tables for people.
type printer struct {
	out  io.Writer
	json bool
}

// column is one column of a table: a title, and the path of the value.
type column struct{ title, path string }

// raw prints JSON, indented.
func (p *printer) raw(v any) error {
	enc := json.NewEncoder(p.out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// table prints a list.
func (p *printer) table(env *envelope, columns []column) error {
	if p.json {
		return p.raw(map[string]any{"data": env.Data, "meta": env.Meta})
	}
	var rows []map[string]any
	if err := json.Unmarshal(env.Data, &rows); err != nil {
		return fmt.Errorf("reading a list: %w", err)
	}
	w := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	titles := make([]string, len(columns))
	for i, c := range columns {
		titles[i] = c.title
	}
	_, _ = fmt.Fprintln(w, strings.Join(titles, "\t"))
	for _, row := range rows {
		cells := make([]string, len(columns))
		for i, c := range columns {
			cells[i] = cell(at(row, c.path))
		}
		_, _ = fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if env.Meta.NextCursor != nil {
		_, err := fmt.Fprintf(p.out, "\nMore: --cursor %s\n", *env.Meta.NextCursor)
		return err
	}
	return nil
}

// object prints one object, a line per value.
func (p *printer) object(env *envelope) error {
	if p.json {
		return p.raw(map[string]any{"data": env.Data})
	}
	var v any
	if err := json.Unmarshal(env.Data, &v); err != nil {
		return fmt.Errorf("reading an answer: %w", err)
	}
	w := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	lines(w, "", v)
	return w.Flush()
}

// say prints a sentence, or for programs that it went well.
func (p *printer) say(format string, args ...any) error {
	if p.json {
		return p.raw(map[string]any{"data": nil})
	}
	_, err := fmt.Fprintf(p.out, format+"\n", args...)
	return err
}

// lines writes every value with its path.
func lines(w io.Writer, path string, v any) {
	switch v := v.(type) {
	case map[string]any:
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		sort.Strings(keys)
		for _, k := range keys {
			lines(w, join(path, k), v[k])
		}
	case []any:
		for i, e := range v {
			lines(w, path+"["+strconv.Itoa(i)+"]", e)
		}
	default:
		if c := cell(v); c != "" {
			_, _ = fmt.Fprintf(w, "%s\t%s\n", path, c)
		}
	}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// at follows a path of keys ("a.b"); alternatives are tried in order ("a|b").
func at(v any, path string) any {
	for alternative := range strings.SplitSeq(path, "|") {
		found := v
		for key := range strings.SplitSeq(alternative, ".") {
			m, _ := found.(map[string]any)
			found = m[key]
		}
		if found != nil && found != "" {
			return found
		}
	}
	return nil
}

const maxCell = 60

// cell is a value in one line. What people wrote may hold anything: control
// characters never reach the terminal.
func cell(v any) string {
	var s string
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		s = v
	case float64:
		s = strconv.FormatFloat(v, 'f', -1, 64)
	case []any:
		parts := make([]string, len(v))
		for i, e := range v {
			parts[i] = cell(e)
		}
		s = strings.Join(parts, ", ")
	case map[string]any:
		b, _ := json.Marshal(v) //nolint:errchkjson // it came out of JSON
		s = string(b)
	default:
		s = fmt.Sprint(v)
	}
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
	if r := []rune(s); len(r) > maxCell {
		s = string(r[:maxCell-1]) + "…"
	}
	return s
}
