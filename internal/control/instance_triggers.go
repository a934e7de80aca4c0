package control

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/omnihub/omni/internal/omni"
)

// triggers checks what an instance listens to: names that can be said, and
// emoji that somebody can react with.
func (c *checks) triggers(t *omni.TriggerConfig) {
	c.atMost("messaging.triggers.names", len(t.Names), maxTriggers)
	c.atMost("messaging.triggers.reactions", len(t.Reactions), maxTriggers)
	for i, name := range t.Names {
		field := fmt.Sprintf("messaging.triggers.names[%d]", i)
		bare := strings.TrimPrefix(strings.TrimSpace(name), "@")
		switch {
		case strings.TrimSpace(bare) == "":
			c.add(field, "must not be empty")
		case utf8.RuneCountInString(name) > maxName:
			c.add(field, fmt.Sprintf("is longer than %d characters", maxName))
		case !utf8.ValidString(name) || strings.ContainsFunc(bare, unicode.IsControl):
			c.add(field, "must not contain control characters")
		}
	}
	for i, emoji := range t.Reactions {
		field := fmt.Sprintf("messaging.triggers.reactions[%d]", i)
		switch {
		case strings.TrimSpace(emoji) == "":
			c.add(field, "must not be empty")
		case len(emoji) > maxEmoji || !utf8.ValidString(emoji) || strings.ContainsFunc(emoji, notInEmoji):
			c.add(field, "must be one emoji, or a platform's name of one")
		}
	}
}

func notInEmoji(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }

func (c *checks) atMost(field string, n, limit int) {
	if n > limit {
		c.add(field, fmt.Sprintf("has more than %d entries", limit))
	}
}
