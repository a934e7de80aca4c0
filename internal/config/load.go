package config

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"github.com/joho/godotenv"

	"github.com/omnihub/omni/internal/omni"
)

// fileSuffix makes a variable name a file that holds its value.
const fileSuffix = "_FILE"

// Where a value came from, as Settings reports it.
const (
	OriginDefault     = "default"
	OriginEnvironment = "environment"
	OriginDotEnv      = ".env"
)

// Load reads environ ("KEY=value" each) and, below it, the file dotEnv if
// it exists. A variable that is empty counts as unset. The error has one
// sentence for each thing wrong, on one line.
func Load(environ []string, dotEnv string) (*Config, error) {
	values, err := gather(environ, dotEnv)
	if err != nil {
		return nil, err
	}
	errs := unknown(values)
	c := &Config{origins: map[string]string{}}
	for _, f := range fields() {
		text, origin, err := lookup(values, f)
		if err == nil && text != "" {
			err = f.set(c, text)
		}
		if err == nil {
			err = f.check(c)
		}
		if err != nil {
			errs = append(errs, err)
		}
		c.origins[f.env] = origin
	}
	if len(errs) > 0 {
		return nil, joined(errs)
	}
	if c.DataDir, err = filepath.Abs(c.DataDir); err != nil {
		return nil, fmt.Errorf("finding OMNI_DATA_DIR: %w", err)
	}
	return c, nil
}

// Proxies are the networks of TrustedProxies.
func (c *Config) Proxies() []netip.Prefix {
	var out []netip.Prefix
	for _, item := range c.TrustedProxies {
		if p, ok := parseCIDR(item); ok {
			out = append(out, p)
		}
	}
	return out
}

// value is a variable's text and where it was found.
type value struct{ text, origin string }

func gather(environ []string, dotEnv string) (map[string]value, error) {
	values := map[string]value{}
	fromFile, err := godotenv.Read(dotEnv)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		// The parser quotes what it could not read: maybe a secret.
		return nil, fmt.Errorf("%s cannot be read: each line must be KEY=value", dotEnv)
	}
	for name, text := range fromFile {
		if text != "" {
			values[name] = value{text, OriginDotEnv}
		}
	}
	for _, entry := range environ {
		name, text, _ := strings.Cut(entry, "=")
		if text == "" {
			continue
		}
		// A variable of the environment, in either form, hides both of .env's.
		base := strings.TrimSuffix(name, fileSuffix)
		for _, hidden := range []string{base, base + fileSuffix} {
			if values[hidden].origin == OriginDotEnv {
				delete(values, hidden)
			}
		}
		values[name] = value{text, OriginEnvironment}
	}
	return values, nil
}

func lookup(values map[string]value, f field) (text, origin string, err error) {
	plain, hasPlain := values[f.env]
	path, hasPath := values[f.env+fileSuffix]
	switch {
	case hasPlain && hasPath:
		return "", "", fmt.Errorf("%s and %s are both set: keep one", f.env, f.env+fileSuffix)
	case hasPlain:
		return plain.text, plain.origin, nil
	case hasPath:
		content, err := os.ReadFile(path.text)
		if err != nil {
			return "", "", fmt.Errorf("%s names a file that cannot be read: %w", f.env+fileSuffix, err)
		}
		return strings.TrimSpace(string(content)), path.text, nil
	default:
		return f.defaultValue, OriginDefault, nil
	}
}

// unknown refuses OMNI_ variables that mean nothing: a typo there is a setting
// that silently does not hold.
func unknown(values map[string]value) []error {
	var known []string
	for _, f := range fields() {
		known = append(known, f.env, f.env+fileSuffix)
	}
	names := make([]string, 0, len(values))
	for name := range values {
		names = append(names, name)
	}
	sort.Strings(names)
	var errs []error
	for _, name := range names {
		if !strings.HasPrefix(name, "OMNI_") || slices.Contains(known, name) {
			continue
		}
		errs = append(errs, fmt.Errorf("unknown variable %s: did you mean %s?", name, omni.Nearest(name, known)))
	}
	return errs
}

// joined makes one line of several sentences.
func joined(errs []error) error {
	sentences := make([]string, 0, len(errs))
	for _, err := range errs {
		sentences = append(sentences, err.Error())
	}
	return errors.New(strings.Join(sentences, "; "))
}
