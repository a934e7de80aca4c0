package omni

import (
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/omnihub/omni/channels/message"
)

// AccessRule says who may, or may not, talk to an instance, or to all of them.
type AccessRule struct {
	ID         uuid.UUID  `json:"id" format:"uuid" required:"true"`
	TenantID   string     `json:"-"`
	InstanceID *uuid.UUID `json:"instanceId" format:"uuid" doc:"null: every instance"`
	Type       string     `json:"type" enum:"allow,deny,silent" doc:"silent: denied without a word" required:"true"`
	Match      RuleMatch  `json:"match" doc:"what must be so, all of it; empty: everybody" required:"true"`
	Priority   int        `json:"priority" doc:"higher goes first"`
	Reason     string     `json:"reason" doc:"for people"`
	Notice     string     `json:"notice,omitempty" doc:"told to whom the rule denies, once in 24 hours"`
	ExpiresAt  *time.Time `json:"expiresAt"`
	Schedule   *Schedule  `json:"schedule" doc:"when the rule applies; null: always"`
	RateLimit  *RateLimit `json:"rateLimit" doc:"of each account; null: none"`
	Source     string     `json:"source" enum:"api,pairing" doc:"who made it"`
	CreatedAt  time.Time  `json:"createdAt" required:"true"`
	UpdatedAt  time.Time  `json:"updatedAt"`
}

// The types of rules.
const (
	RuleAllow  = "allow"
	RuleDeny   = "deny"
	RuleSilent = "silent"
)

// Where rules come from.
const (
	RuleFromAPI     = "api"
	RuleFromPairing = "pairing"
)

// AccessRuleFilter narrows a list of rules; zero fields do not.
type AccessRuleFilter struct {
	Within     []uuid.UUID // instances the caller may see, which leaves out rules for every instance; nil: all
	InstanceID uuid.UUID
	PersonID   uuid.UUID
	Type       string
	Source     string
}

// RuleMatch is what a rule looks at. Texts are globs, but for ids.
type RuleMatch struct {
	PersonID       *uuid.UUID       `json:"personId,omitempty" format:"uuid"`
	PlatformUserID string           `json:"platformUserId,omitempty" doc:"the platform's own id of an account; * stands for any characters" maxLength:"500"`
	Phone          string           `json:"phone,omitempty" doc:"E.164, or a pattern of it" example:"+5511*" maxLength:"100"`
	Handle         string           `json:"handle,omitempty" doc:"the user name, with or without @; a pattern; case does not count" maxLength:"250"`
	ChatID         *uuid.UUID       `json:"chatId,omitempty" format:"uuid"`
	ChatType       message.ChatType `json:"chatType,omitempty" enum:"dm,group"`
	Channel        string           `json:"channel,omitempty" doc:"the channel's type; a pattern" example:"telegram" maxLength:"100"`
}

// RateLimit is a token bucket: it holds Count, and fills in PerSeconds. A rule
// that allows lets through what finds a token and denies the rest; one that
// denies leaves what finds a token to the other rules and denies the rest.
type RateLimit struct {
	Count      int `json:"count" minimum:"1" doc:"messages"`
	PerSeconds int `json:"perSeconds" minimum:"1"`
}

// keyLengths are by how many characters of what it begins with a pattern is
// found, as many as it has (access_keys in the migrations).
var keyLengths = []int{12, 9, 7, 5, 3}

// Key is what the rule is found by, where it does not name a person: a sender
// whom it matches has this key among theirs.
func (m *RuleMatch) Key() string {
	pattern, longest := "", -1
	for _, f := range []struct{ name, glob string }{{"user", m.PlatformUserID}, {"phone", m.Phone}, {"handle", foldHandle(m.Handle)}} {
		if f.glob == "" {
			continue
		}
		prefix, whole := globPrefix(f.glob)
		if whole {
			return f.name + "=" + prefix
		}
		if len(prefix) > longest {
			pattern, longest = f.name+"~"+lookupPrefix(prefix), len(prefix)
		}
	}
	channel, exact := globPrefix(m.Channel)
	switch {
	case m.ChatID != nil:
		return "chat:" + m.ChatID.String()
	case pattern != "":
		return pattern
	case m.ChatType != "":
		return "type:" + string(m.ChatType)
	case m.Channel != "" && exact:
		return "channel:" + channel
	default:
		return "*"
	}
}

func lookupPrefix(s string) string {
	runes := []rune(s)
	for _, n := range keyLengths {
		if len(runes) >= n {
			return string(runes[:n])
		}
	}
	return ""
}

// Normalized writes what people write in several ways in one: phones as E.164,
// handles without @. It changes nothing of what is not valid.
func (m *RuleMatch) Normalized() RuleMatch {
	out := *m
	out.Handle = strings.TrimLeft(m.Handle, "@")
	out.Phone = normalizePhoneGlob(m.Phone)
	return out
}

// CheckPhoneGlob says whether a text is a phone number, or a pattern of one.
func CheckPhoneGlob(s string) bool {
	if !strings.Contains(s, "*") {
		_, ok := NormalizePhone(s)
		return ok
	}
	s = strings.TrimPrefix(normalizePhoneGlob(s), "+")
	return len(s) <= maxPhoneGlob && strings.Trim(s, "0123456789*") == ""
}

// maxPhoneGlob bounds a pattern: a number has 15 digits at most.
const maxPhoneGlob = 32

func normalizePhoneGlob(s string) string {
	if !strings.Contains(s, "*") {
		if e164, ok := NormalizePhone(s); ok {
			return e164
		}
		return s
	}
	s = strings.NewReplacer(" ", "", "(", "", ")", "", "-", "", ".", "", "/", "").Replace(s)
	for strings.Contains(s, "**") {
		s = strings.ReplaceAll(s, "**", "*")
	}
	if s[0] >= '0' && s[0] <= '9' {
		s = "+" + s
	}
	return s
}

// foldHandle is a user name as it is compared. Only ASCII has a case here:
// platforms' handles have no other letters, and Postgres folds no others alike.
func foldHandle(s string) string {
	b := []byte(strings.TrimLeft(s, "@"))
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}
