package omni

import (
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/omnihub/omni/channels/message"
)

// AccessDecision is what access.Check decided.
type AccessDecision struct {
	Mode     string
	Decision string // an Access constant
	RuleID   uuid.NullUUID
	Reason   string
}

// The decisions.
const (
	AccessAllow  = "allow"
	AccessDeny   = "deny"
	AccessSilent = "silent"
	AccessPair   = "pair"
)

// The modes.
const (
	AccessDisabled  = "disabled"
	AccessBlocklist = "blocklist"
	AccessAllowlist = "allowlist"
	AccessPairing   = "pairing"
)

// AccessQuestion is everything that deciding about a message needs.
type AccessQuestion struct {
	AccessFacts

	Mode   *string      // nil: the instance was deleted
	Paused bool         // a person talks in this chat
	Rules  []AccessRule // those that may be about the sender
	ReadAt time.Time
}

// AccessPlan is what the rules come to, before anybody looks whether there is
// a token left: the steps are gone through until one decides. The last one
// always does.
type AccessPlan struct {
	Mode  string
	Steps []AccessStep
}

// AccessStep decides Within; one with a Limit does so where a token is left,
// and Beyond where none is. An empty decision leaves it to the next step.
type AccessStep struct {
	RuleID       uuid.NullUUID `json:"ruleId"`
	Within       string        `json:"within"`
	Beyond       string        `json:"beyond,omitempty"`
	Reason       string        `json:"reason"`
	BeyondReason string        `json:"beyondReason,omitempty"`
	*RateLimit
	Notice string `json:"notice,omitempty"`
}

// PlanAccess makes the plan of a mode and of rules, in whatever order they come.
func PlanAccess(mode string, rules []AccessRule, f *AccessFacts, at time.Time) AccessPlan {
	plan, _ := ExplainAccess(mode, rules, f, at)
	return plan
}

// ExplainAccess makes the plan, and says of each rule what became of it, in the
// order in which they are asked. The rules are sorted in place.
func ExplainAccess(mode string, rules []AccessRule, f *AccessFacts, at time.Time) (AccessPlan, []Considered) {
	if accessDisabled(mode) {
		return AccessPlan{Mode: AccessDisabled, Steps: []AccessStep{defaultStep(mode)}}, []Considered{}
	}
	plan, considered := AccessPlan{Mode: mode}, make([]Considered, 0, len(rules))
	SortRules(rules)
	decided := false
	for i := range rules {
		r := &rules[i]
		c := Considered{RuleID: r.ID, InstanceID: r.InstanceID, Type: r.Type, Priority: r.Priority}
		c.Matched, c.Why = r.Applies(f, at)
		if c.Matched {
			if decided {
				c.Why = WhyNotAsked
			} else {
				step := r.step()
				plan.Steps = append(plan.Steps, step)
				decided = step.final()
			}
		}
		considered = append(considered, c)
	}
	if !decided {
		plan.Steps = append(plan.Steps, defaultStep(mode))
	}
	return plan, considered
}

// WhyNotAsked is why a rule that applies decides nothing.
const WhyNotAsked = "one that goes before it decides"

func (s *AccessStep) final() bool { return s.Within != "" }

func defaultStep(mode string) AccessStep {
	d := DefaultAccess(mode)
	return AccessStep{Within: d.Decision, Reason: d.Reason}
}

// step is what the rule comes to where it applies.
func (r *AccessRule) step() AccessStep {
	s := AccessStep{RuleID: uuid.NullUUID{UUID: r.ID, Valid: true}, Within: decisionOf(r.Type), Reason: r.Reason, Notice: r.Notice,
		RateLimit: r.RateLimit}
	if s.Reason == "" {
		s.Reason = map[string]string{RuleAllow: "a rule allows it", RuleDeny: "a rule denies it", RuleSilent: "a rule denies it silently"}[r.Type]
	}
	if r.RateLimit == nil {
		return s
	}
	s.BeyondReason = fmt.Sprintf("rate limit: more than %d in %d s", r.RateLimit.Count, r.RateLimit.PerSeconds)
	if r.Type == RuleAllow {
		s.Beyond = AccessDeny
	} else {
		s.Within, s.Beyond = "", s.Within
	}
	return s
}

func decisionOf(ruleType string) string {
	switch ruleType {
	case RuleAllow:
		return AccessAllow
	case RuleSilent:
		return AccessSilent
	default:
		return AccessDeny
	}
}

// Decide goes through the plan. left says whether a rule's bucket has a token.
func (p *AccessPlan) Decide(left func(rule uuid.UUID, l RateLimit) bool) AccessDecision {
	d := AccessDecision{Mode: p.Mode}
	for i := range p.Steps {
		s := &p.Steps[i]
		d.RuleID, d.Decision, d.Reason = s.RuleID, s.Within, s.Reason
		if s.RateLimit != nil && !left(s.RuleID.UUID, *s.RateLimit) {
			d.Decision, d.Reason = s.Beyond, s.BeyondReason
		}
		if d.Decision != "" {
			break
		}
	}
	return d
}

// Quietly is the plan where nothing may be said: in a group everybody would
// read it, in a chat that a person has taken over it would come between, and
// what is history, or no message, asks for nothing.
func (p *AccessPlan) Quietly() AccessPlan {
	steps := make([]AccessStep, len(p.Steps))
	for i, s := range p.Steps {
		s.Notice = ""
		if s.Within == AccessPair {
			s.Within, s.Reason = AccessSilent, "not paired, and no code is given here"
		}
		steps[i] = s
	}
	return AccessPlan{Mode: p.Mode, Steps: steps}
}

// Answers reports whether a message may be told why it is denied.
func (q *AccessQuestion) Answers(m *InboundMessage) bool {
	return !q.Paused && q.ChatType == message.ChatDM && m.Kind == message.KindMessage && !m.Facts.Backfill
}

// Plan decides about a message as far as the rules do.
func (q *AccessQuestion) Plan(m *InboundMessage, at time.Time) AccessPlan {
	if q.Mode == nil {
		return AccessPlan{Mode: AccessDisabled, Steps: []AccessStep{{Within: AccessSilent, Reason: "the instance was deleted"}}}
	}
	plan := PlanAccess(*q.Mode, q.Rules, &q.AccessFacts, at)
	if !q.Answers(m) {
		plan = plan.Quietly()
	}
	return plan
}

// AccessAnswer is the decision that stands, and what is to be sent because of it.
type AccessAnswer struct {
	AccessDecision

	Said uuid.NullUUID // a message to the sender that is not known to be on its way
}
