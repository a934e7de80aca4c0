package provider

import (
	"strings"
	"unicode"
)

// maxSpeaker is how much of a name is shown, in characters.
const maxSpeaker = 64

// speaker is a person's name as it may stand in front of what they said: one
// line without a colon, so that a name cannot look like somebody else's words.
func speaker(name string) string {
	return oneLine(strings.ReplaceAll(name, ":", " "), maxSpeaker)
}

// oneLine is a text that others chose as it may stand within a line of ours:
// without line breaks, square brackets, and what cannot be seen.
func oneLine(text string, most int) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r), unicode.IsControl(r):
			return ' '
		case unicode.Is(unicode.Cf, r) && r != '\u200d': // not the joiner of emoji
			return -1
		case r == '[':
			return '('
		case r == ']':
			return ')'
		default:
			return r
		}
	}, text)
	runes := []rune(strings.Join(strings.Fields(text), " "))
	if len(runes) > most {
		runes = append(runes[:most], '…')
	}
	return string(runes)
}

// spoken puts the speaker in front of a text, "" for nobody in particular.
func spoken(sender, text string) string {
	if sender = speaker(sender); sender == "" {
		return text
	}
	return sender + ": " + text
}
