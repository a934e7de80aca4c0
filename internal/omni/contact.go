package omni

import (
	"net/mail"
	"strings"

	"github.com/nyaruka/phonenumbers"
)

// VerifiedPhone writes a number that a platform has verified as E.164; "" where
// it cannot be read without knowing the country it is dialled in, and so does
// not tell who somebody is.
//
// Unlike NormalizePhone, which reads what people write, it takes a number that
// says its country ("+55…", "0055…") as it is: the platform has seen it work,
// whatever our numbering plan says. Bare digits, as WhatsApp writes numbers,
// must make a number of some country.
func VerifiedPhone(given string) string {
	given = strings.TrimSpace(given)
	bare := false
	switch {
	case strings.HasPrefix(given, "+"):
	case strings.HasPrefix(given, "00"):
		given = "+" + given[2:]
	default:
		bare = true
		given = "+" + given
	}
	n, err := phonenumbers.Parse(given, "")
	if err != nil || n.GetExtension() != "" || bare && !phonenumbers.IsValidNumber(n) {
		return ""
	}
	e164 := phonenumbers.Format(n, phonenumbers.E164)
	if len(e164) < 8 || len(e164) > 16 { // with the plus: 7 to 15 digits
		return ""
	}
	return e164
}

// VerifiedEmail writes a bare e-mail address in small letters; "" where it is
// none.
func VerifiedEmail(given string) string {
	given = strings.TrimSpace(given)
	if len(given) > 254 { // no server takes a longer one
		return ""
	}
	a, err := mail.ParseAddress(given)
	if err != nil || a.Address != given || a.Name != "" {
		return ""
	}
	return strings.ToLower(given)
}
