package omni

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/omnihub/omni/channels/message"
)

// AccessFacts is what the rules look at: who sent a message, and where.
type AccessFacts struct {
	InstanceID     uuid.UUID        `json:"instanceId"`
	Channel        string           `json:"channel"`
	ChatID         uuid.UUID        `json:"chatId"`
	ChatType       message.ChatType `json:"chatType"`
	IdentityID     uuid.NullUUID    `json:"identityId"`
	PersonID       uuid.NullUUID    `json:"personId"`
	PlatformUserID string           `json:"platformUserId"`
	Handle         string           `json:"handle"`
	Phones         []string         `json:"phones"` // E.164
}

// Considered is what became of one rule.
type Considered struct {
	RuleID     uuid.UUID  `json:"ruleId" format:"uuid" required:"true"`
	InstanceID *uuid.UUID `json:"instanceId" format:"uuid" doc:"null: a rule for every instance"`
	Type       string     `json:"type" enum:"allow,deny,silent" required:"true"`
	Priority   int        `json:"priority"`
	Matched    bool       `json:"matched" doc:"it applies to this sender at that time" required:"true"`
	Decided    bool       `json:"decided" doc:"it is the one that decided"`
	Why        string     `json:"why" doc:"why it does not apply, or does not decide" required:"true"`
}

// Applies reports whether the rule is about this sender at a moment, and if
// not, why.
func (r *AccessRule) Applies(f *AccessFacts, at time.Time) (applies bool, why string) {
	if r.InstanceID != nil && *r.InstanceID != f.InstanceID {
		return false, "another instance"
	}
	if r.ExpiresAt != nil && !at.Before(*r.ExpiresAt) {
		return false, "expired"
	}
	if why := r.Match.differs(f); why != "" {
		return false, why
	}
	if r.Schedule != nil {
		within, err := r.Schedule.Contains(at)
		switch {
		case err != nil:
			return false, "its schedule cannot be read: " + err.Error()
		case !within:
			return false, "outside its schedule"
		}
	}
	return true, ""
}

// differs names the first thing that is not as the rule wants it.
func (m *RuleMatch) differs(f *AccessFacts) string {
	switch {
	case m.PersonID != nil && (!f.PersonID.Valid || *m.PersonID != f.PersonID.UUID):
		return "another person"
	case m.PlatformUserID != "" && (f.PlatformUserID == "" || !globMatch(m.PlatformUserID, f.PlatformUserID)):
		return "another account"
	case m.Phone != "" && !slices.ContainsFunc(f.Phones, func(p string) bool { return globMatch(m.Phone, p) }):
		return "another phone, or none"
	case m.Handle != "" && (f.Handle == "" || !globMatch(foldHandle(m.Handle), foldHandle(f.Handle))):
		return "another handle, or none"
	case m.ChatID != nil && *m.ChatID != f.ChatID:
		return "another chat"
	case m.ChatType != "" && m.ChatType != f.ChatType:
		return "another type of chat"
	case m.Channel != "" && !globMatch(m.Channel, f.Channel):
		return "another channel"
	default:
		return ""
	}
}

// specificity ranks by the most telling thing that a rule looks at, then by
// how many things it looks at.
func (m *RuleMatch) specificity() int {
	const step = 10
	most, looksAt := 0, 0
	count := func(set bool, rank int) {
		if set {
			most, looksAt = max(most, rank), looksAt+1
		}
	}
	text := func(glob string, exact int) {
		const pattern = 4
		if _, whole := globPrefix(glob); whole {
			count(glob != "", exact)
			return
		}
		count(true, pattern)
	}
	count(m.PersonID != nil, 8)
	text(m.PlatformUserID, 7)
	text(m.Phone, 6)
	text(m.Handle, 5)
	count(m.ChatID != nil, 3)
	count(m.ChatType != "", 2)
	count(m.Channel != "", 1)
	return most*step + looksAt
}

// compareRules orders rules as they are asked: the higher priority first; one
// of the instance before one of all; the specific before the general (person,
// account, phone, handle, pattern of one of these, chat, type of chat, channel,
// everybody; then the one that looks at more); what denies before what allows;
// the older first. No two rules are equal.
func compareRules(a, b *AccessRule) int {
	return cmp.Or(
		cmp.Compare(b.Priority, a.Priority),
		cmp.Compare(boolRank(a.InstanceID == nil), boolRank(b.InstanceID == nil)),
		cmp.Compare(b.Match.specificity(), a.Match.specificity()),
		cmp.Compare(boolRank(a.Type == RuleAllow), boolRank(b.Type == RuleAllow)),
		bytes.Compare(a.ID[:], b.ID[:]),
	)
}

func boolRank(b bool) int {
	if b {
		return 1
	}
	return 0
}

// SortRules orders rules as they are asked.
func SortRules(rules []AccessRule) {
	slices.SortFunc(rules, func(a, b AccessRule) int { return compareRules(&a, &b) })
}
