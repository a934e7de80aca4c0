package omni

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// CustomAgent says how provider custom speaks to a service: what is asked, and
// where in what comes back the answer is.
type CustomAgent struct {
	Method       string            `json:"method,omitempty" enum:"POST,PUT,PATCH"`
	Headers      map[string]string `json:"headers,omitempty" doc:"shown to whoever may read the instance: no secrets"`
	AuthHeader   string            `json:"authHeader,omitempty" doc:"the header that carries apiKey; Authorization by default"`
	AuthScheme   string            `json:"authScheme,omitempty" doc:"stands before the key; Bearer by default in Authorization, nothing elsewhere"`
	Body         json.RawMessage   `json:"body,omitempty" doc:"JSON in whose strings {{placeholders}} are filled in"`
	ResponsePath string            `json:"responsePath,omitempty" doc:"a GJSON path, without modifiers, to the text, the parts, or an object that holds one of them"`
}

// Methods that a custom agent may be called with.
var customMethods = []string{"POST", "PUT", "PATCH"}

// The placeholders of a body. Those of customValues stand alone in their
// string, and become a value of JSON; all others become part of a text.
var (
	customTexts = []string{"text", "turnId", "session", "model", "systemPrompt", "instance.id", "instance.name", "instance.channel",
		"chat.id", "chat.externalId", "chat.type", "chat.name", "person.id", "person.name", "sender.id", "sender.name"}
	customValues = []string{"request", "messages", "history"}
)

var placeholder = regexp.MustCompile(`\{\{\s*([A-Za-z.]+)\s*\}\}`)

// defaultCustomBody is the body of an agent that names none: all there is.
var defaultCustomBody = json.RawMessage(`"{{request}}"`)

// Render fills the body's placeholders in. What is filled in is a value, never
// a piece of JSON, and is not looked at again: neither quotes nor placeholders
// in what people say mean anything.
func (c *CustomAgent) Render(values map[string]any) ([]byte, error) {
	body := c.Body
	if len(body) == 0 {
		body = defaultCustomBody
	}
	var template any
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if err := d.Decode(&template); err != nil {
		return nil, fmt.Errorf("reading the template: %w", err)
	}
	f := filling{values: values, room: maxCustomBody - len(body)}
	filled, err := f.in(template)
	if err != nil {
		return nil, err
	}
	return json.Marshal(filled)
}

// maxCustomBody bounds a body that is filled in, in bytes: a template may name
// all that is known of a turn any number of times.
const maxCustomBody = 16 << 20

var errCustomBody = fmt.Errorf("filled in, it has more than %d MiB", maxCustomBody>>20)

// filling is one body that is filled in.
type filling struct {
	values map[string]any
	room   int // bytes that are left
}

// value is what a placeholder stands for, as it is or (but for texts) encoded.
func (f *filling) value(name string) (v any, ok bool, err error) {
	if v, ok = f.values[name]; !ok {
		return nil, false, nil
	}
	var size int
	switch known := v.(type) {
	case string:
		size = len(known)
	case json.RawMessage:
		size = len(known)
	default:
		raw, err := json.Marshal(v)
		if err != nil {
			return nil, true, err
		}
		f.values = maps.Clone(f.values) // the caller's stay as they are
		f.values[name], v, size = json.RawMessage(raw), json.RawMessage(raw), len(raw)
	}
	if f.room -= size; f.room < 0 {
		return nil, true, errCustomBody
	}
	return v, true, nil
}

func (f *filling) in(template any) (any, error) {
	switch t := template.(type) {
	case string:
		return f.inString(t)
	case []any:
		out := make([]any, len(t))
		for i := range t {
			var err error
			if out[i], err = f.in(t[i]); err != nil {
				return nil, err
			}
		}
		return out, nil
	case map[string]any:
		out := make(map[string]any, len(t))
		for name := range t {
			var err error
			if out[name], err = f.in(t[name]); err != nil {
				return nil, err
			}
		}
		return out, nil
	default:
		return template, nil
	}
}

func (f *filling) inString(s string) (any, error) {
	if m := placeholder.FindStringSubmatch(s); m != nil && m[0] == s {
		if v, ok, err := f.value(m[1]); ok {
			return v, err
		}
	}
	var bad error
	filled := placeholder.ReplaceAllStringFunc(s, func(found string) string {
		name := placeholder.FindStringSubmatch(found)[1]
		v, ok, err := f.value(name)
		text, isText := v.(string)
		switch {
		case err != nil:
			bad = err
		case !ok:
			bad = fmt.Errorf("{{%s}} is not a placeholder; there are: %s", name, strings.Join(slices.Concat(customTexts, customValues), ", "))
		case !isText:
			bad = fmt.Errorf("{{%s}} is no text: it must be the whole of its string", name)
		}
		return text
	})
	return filled, bad
}

// Authorization is the header that carries the key; value "" where there is none.
func (c *CustomAgent) Authorization(key string) (name, value string) {
	name, scheme := c.AuthHeader, c.AuthScheme
	if name == "" {
		name = "Authorization"
	}
	if scheme == "" && strings.EqualFold(name, "Authorization") {
		scheme = "Bearer"
	}
	if key == "" {
		return name, ""
	}
	return name, strings.TrimSpace(scheme + " " + key)
}

// ownHeaders are set by Omni or by HTTP itself.
var ownHeaders = []string{"Content-Type", "Content-Length", "Host", "Connection", "Transfer-Encoding", "Idempotency-Key", "Trailer", "Upgrade",
	"Te", "Proxy-Authorization", "Cookie", "Authorization"}

func isOwnHeader(name string) bool {
	return slices.ContainsFunc(ownHeaders, func(own string) bool { return strings.EqualFold(own, name) })
}

var headerName = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$")

// Check lists what is wrong with it.
func (c *CustomAgent) Check() []Fault {
	var f faults
	add := f.add
	if c.Method != "" && !slices.Contains(customMethods, c.Method) {
		add("method", "must be one of: "+strings.Join(customMethods, ", "))
	}
	if len(c.Headers) > 50 {
		add("headers", "has more than 50 entries")
	}
	for name, value := range c.Headers {
		switch {
		case !headerName.MatchString(name):
			add("headers", "has a name that is no header's")
		case isOwnHeader(name):
			add("headers."+name, "cannot be set here; a secret belongs into apiKey, see authHeader")
		case !validHeaderValue(value):
			add("headers."+name, "is no header value")
		}
	}
	if c.AuthHeader != "" && (!headerName.MatchString(c.AuthHeader) ||
		!strings.EqualFold(c.AuthHeader, "Authorization") && isOwnHeader(c.AuthHeader)) {
		add("authHeader", "is no header that can carry a key")
	}
	if !validHeaderValue(c.AuthScheme) {
		add("authScheme", "is no header value")
	}
	if len(c.Body) > 0 {
		if _, err := c.Render(sampleValues()); err != nil {
			add("body", err.Error())
		}
	}
	if len(c.ResponsePath) > 500 {
		add("responsePath", "is longer than 500 bytes")
	}
	if !IsPlainPath(c.ResponsePath) {
		add("responsePath", "must only point to something: modifiers (@) and what makes a new document ({ and [) are not taken; in a name, a backslash stands before them")
	}
	return f
}

// IsPlainPath reports whether a GJSON path only points into a document. Others
// make new ones of it, each step as much as double the one before.
func IsPlainPath(path string) bool {
	for i := 0; i < len(path); i++ {
		switch path[i] {
		case '\\':
			i++
		case '@', '{', '[':
			return false
		}
	}
	return true
}

// sampleValues have the shapes of the true ones.
func sampleValues() map[string]any {
	values := map[string]any{}
	for _, name := range customTexts {
		values[name] = ""
	}
	for _, name := range customValues {
		values[name] = []any{}
	}
	return values
}

func validHeaderValue(v string) bool {
	return len(v) <= 1000 && !strings.ContainsFunc(v, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}
