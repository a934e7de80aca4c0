package omni

import (
	"crypto/rand"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Pairing is a stranger who was given a code to show to whoever runs the
// instance.
type Pairing struct {
	ID             uuid.UUID  `json:"id" format:"uuid" required:"true"`
	TenantID       string     `json:"-"`
	InstanceID     uuid.UUID  `json:"instanceId" format:"uuid" required:"true"`
	Channel        string     `json:"channel" required:"true"`
	ChatID         uuid.UUID  `json:"chatId" format:"uuid"`
	PersonID       *uuid.UUID `json:"personId" format:"uuid"`
	IdentityID     uuid.UUID  `json:"identityId" format:"uuid"`
	PlatformUserID string     `json:"platformUserId" doc:"the platform's own id of the account"`
	Name           string     `json:"name,omitempty"`
	Phone          string     `json:"phone,omitempty"`
	MessageID      uuid.UUID  `json:"messageId" format:"uuid" doc:"the message that asked for it"`
	Code           string     `json:"code" doc:"what the stranger was told" example:"K7QM-2XPA" required:"true"`
	Status         string     `json:"status" enum:"open,approved,rejected,expired" required:"true"`
	RuleID         *uuid.UUID `json:"ruleId" format:"uuid" doc:"what allows them, once approved"`
	ExpiresAt      time.Time  `json:"expiresAt" required:"true"`
	DecidedAt      *time.Time `json:"decidedAt"`
	CreatedAt      time.Time  `json:"createdAt" required:"true"`
}

// The statuses of pairings.
const (
	PairingOpen     = "open"
	PairingApproved = "approved"
	PairingRejected = "rejected"
	PairingExpired  = "expired"
)

// PairingFilter narrows a list of pairings; zero fields do not.
type PairingFilter struct {
	Within     []uuid.UUID // instances the caller may see; nil: all
	InstanceID uuid.UUID
	Status     string
}

// PairingVerdict is what somebody decides about a stranger, found by id or by
// code.
type PairingVerdict struct {
	TenantID   string
	Within     []uuid.UUID // instances the caller may see; nil: all
	InstanceID uuid.NullUUID
	ID         uuid.NullUUID
	Code       string
	Approve    bool
	By         string    // who, for people
	Guesser    uuid.UUID // whose wrong codes are counted
}

// PairingResult is what became of a verdict.
type PairingResult struct {
	State   string // a PairingResult constant
	Pairing *Pairing
}

// The states of PairingResult.
const (
	PairingDecided = "decided"
	PairingUnknown = "unknown" // no open one has this id or code
	PairingClosed  = "closed"  // decided before, or expired
	PairingLimited = "limited" // too many wrong codes
)

// pairingAlphabet leaves out what is taken for something else when it is read
// out or typed: 0 O, 1 I L, U V.
const pairingAlphabet = "23456789ABCDEFGHJKMNPQRSTWXYZ"

const pairingLength = 8

// NewPairingCode draws a code: 29^8, about 39 bits.
func NewPairingCode() string {
	code := make([]byte, 0, pairingLength)
	var b [1]byte
	for len(code) < pairingLength {
		_, _ = rand.Read(b[:]) // never fails
		// Bytes past the last whole round would favour the first letters.
		if n := int(b[0]); n < 256/len(pairingAlphabet)*len(pairingAlphabet) {
			code = append(code, pairingAlphabet[n%len(pairingAlphabet)])
		}
	}
	return string(code)
}

// ShowPairingCode is a code as people read it.
func ShowPairingCode(code string) string {
	if len(code) != pairingLength {
		return code
	}
	return code[:pairingLength/2] + "-" + code[pairingLength/2:]
}

// ParsePairingCode reads a code as people type it; false where it can be none.
func ParsePairingCode(s string) (string, bool) {
	code := strings.ToUpper(strings.Join(strings.Fields(strings.ReplaceAll(s, "-", "")), ""))
	return code, len(code) == pairingLength && strings.Trim(code, pairingAlphabet) == ""
}

// PairingText is what a stranger is told.
func PairingText(code string) string {
	return "To talk here you need to be let in. Give this code to whoever runs this account: " + ShowPairingCode(code) +
		". It is valid for one hour."
}
