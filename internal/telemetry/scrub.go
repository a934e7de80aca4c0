package telemetry

import (
	"regexp"
	"strings"
)

// Masked stands where a secret was.
const Masked = "•••"

// Patterns of credentials as they turn up in other programs' error texts:
// authorization values, keys in query strings and JSON, URLs with a password,
// Telegram bot tokens, and the prefixes that vendors give their keys.
var scrubbers = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`(?i)\b(bearer|basic)\s+[a-z0-9._~+/=•*-]{6,}`), "$1 " + Masked},
	{regexp.MustCompile(`(?i)\b((?:[\w-]*(?:api[_-]?key|token|secret|password|passwd|signature)|key|sig|pwd)"?\s*[:=]\s*"?)[^\s"'&,;}]{4,}`), "${1}" + Masked},
	{regexp.MustCompile(`([a-zA-Z][a-zA-Z0-9+.-]*://[^\s:/@]*:)[^\s/@]+@`), "${1}" + Masked + "@"},
	{regexp.MustCompile(`\b(bot)?\d{6,12}:[A-Za-z0-9_-]{30,}`), "${1}" + Masked},
	{regexp.MustCompile(`\b(?:sk|pk|rk|gsk|xox[abposr]|xapp|ghp|whsec|AIza)[-_][A-Za-z0-9_=+/*.-]{6,}`), Masked},
}

// Scrub masks the given secrets, and everything that looks like a credential,
// in a text on its way to a log, an error or an event. Secrets shorter than
// four characters are left alone: masking them would hide ordinary words.
func Scrub(text string, secrets ...string) string {
	for _, s := range secrets {
		if len(s) >= 4 {
			text = strings.ReplaceAll(text, s, Masked)
		}
	}
	for _, s := range scrubbers {
		text = s.pattern.ReplaceAllString(text, s.with)
	}
	return text
}
