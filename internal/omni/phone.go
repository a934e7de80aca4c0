package omni

import (
	"strings"

	"github.com/nyaruka/phonenumbers"
)

// NormalizePhone writes a phone number as E.164 ("+5511987654321"). It must
// begin with its country's code; the plus before it may be missing, because
// many platforms leave it out. False: no phone number.
func NormalizePhone(s string) (e164 string, ok bool) {
	s = strings.TrimSpace(s)
	if s == "" || strings.Trim(s, phoneCharacters) != "" {
		return "", false
	}
	if !strings.HasPrefix(s, "+") {
		s = "+" + s
	}
	n, err := phonenumbers.Parse(s, phonenumbers.UNKNOWN_REGION)
	// Whether somebody uses the number is not for us to say: lists of ranges age.
	if err != nil || !phonenumbers.IsPossibleNumber(n) {
		return "", false
	}
	return phonenumbers.Format(n, phonenumbers.E164), true
}

// phoneCharacters may stand in a phone number as people write it.
const phoneCharacters = "+0123456789 ()-./"
