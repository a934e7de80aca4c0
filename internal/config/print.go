package config

import (
	"fmt"
	"net/url"
	"strings"
)

// mask stands for a secret that is set.
const mask = "•••"

// Setting is one variable of the effective configuration, fit to be shown.
type Setting struct {
	Name   string `json:"name"`
	Value  string `json:"value"`  // secrets masked
	Origin string `json:"origin"` // default, environment, .env, or the path of a file
}

// Settings lists the effective configuration in the order of the documentation.
func (c *Config) Settings() []Setting {
	out := make([]Setting, 0, len(fields()))
	for _, f := range fields() {
		origin := c.origins[f.env]
		if origin == "" {
			origin = OriginDefault
		}
		out = append(out, Setting{Name: f.env, Value: f.masked(c), Origin: origin})
	}
	return out
}

func (f field) masked(c *Config) string {
	text := f.text(c)
	switch {
	case text == "" || f.secret == "":
		return text
	case f.secret == "url":
		return MaskURL(text)
	default:
		return mask
	}
}

// MaskURL returns a URL (or a comma list of them) without its passwords.
// What cannot be parsed is masked whole.
func MaskURL(text string) string {
	items := strings.Split(text, ",")
	for i, item := range items {
		parsed, err := url.Parse(strings.TrimSpace(item))
		if err != nil {
			return mask
		}
		if parsed.User != nil {
			user := url.PathEscape(parsed.User.Username())
			parsed.User = nil
			rest := strings.TrimPrefix(parsed.String(), parsed.Scheme+"://")
			items[i] = fmt.Sprintf("%s://%s:%s@%s", parsed.Scheme, user, mask, rest)
		}
		if parsed.Query().Has("password") {
			return mask
		}
	}
	return strings.Join(items, ",")
}

// Markdown is the text of docs/config.md.
func Markdown() string {
	var b strings.Builder
	b.WriteString("# Configuration\n\n" +
		"<!-- Generated from internal/config/config.go by `make generate`; do not edit. -->\n\n" +
		"Omni is configured by its environment. A `.env` file in the working directory is read too; the environment wins.\n" +
		"Each variable `X` may be given as `X_FILE` instead: the path of a file that holds the value.\n" +
		"An `OMNI_` variable that is not listed here is an error that names its nearest neighbour.\n" +
		"`omni config` prints the effective values, secrets masked.\n")
	for _, f := range fields() {
		if f.section != "" {
			fmt.Fprintf(&b, "\n## %s\n\n| variable | default | meaning |\n|---|---|---|\n", f.section)
		}
		def := ""
		if f.defaultValue != "" {
			def = "`" + f.defaultValue + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", f.env, def, f.doc)
	}
	return b.String()
}

// Example is the text of .env.example: every variable, commented out, with its
// default.
func Example() string {
	var b strings.Builder
	b.WriteString("# Every setting of Omni, with its default. Copy to .env and uncomment what you change.\n")
	for _, f := range fields() {
		if f.section != "" {
			fmt.Fprintf(&b, "\n# --- %s ---\n", f.section)
		}
		fmt.Fprintf(&b, "\n# %s\n# %s=%s\n", f.doc, f.env, f.defaultValue)
	}
	return b.String()
}
