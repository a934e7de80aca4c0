package control

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
)

// AccessCheckRequest asks how a message of somebody would be decided about. Who
// is meant: an account by its id, whoever has a phone number, a person.
type AccessCheckRequest struct {
	InstanceID     uuid.UUID  `json:"instanceId" format:"uuid" required:"true"`
	PlatformUserID string     `json:"platformUserId,omitempty" doc:"the platform's own id of the account" maxLength:"500"`
	Phone          string     `json:"phone,omitempty" doc:"with the country's code" maxLength:"100"`
	PersonID       *uuid.UUID `json:"personId,omitempty" format:"uuid"`
	Handle         string     `json:"handle,omitempty" doc:"of an account that is not known yet" maxLength:"250"`
	ChatID         *uuid.UUID `json:"chatId,omitempty" format:"uuid" doc:"where; absent: in a direct chat"`
	At             *time.Time `json:"at,omitempty" doc:"when; absent: now"`
}

// AccessCheck is how it would be decided, and by what.
type AccessCheck struct {
	Decision   string            `json:"decision" enum:"allow,deny,silent,pair" required:"true"`
	RuleID     *uuid.UUID        `json:"ruleId" format:"uuid" doc:"null: no rule decided"`
	Reason     string            `json:"reason" required:"true"`
	Mode       string            `json:"mode" enum:"disabled,blocklist,allowlist,pairing" required:"true"`
	Considered []omni.Considered `json:"considered" doc:"each rule that was looked at, in the order in which they are asked" required:"true" nullable:"false"`
	Omitted    bool              `json:"omitted,omitempty" doc:"there are more rules, which do not apply"`
}

// maxConsidered bounds how many rules are explained that are not about the
// sender.
const maxConsidered = 200

// Check explains a decision. It writes nothing and takes nothing.
func (s *Access) Check(ctx context.Context, who *omni.APIKey, req AccessCheckRequest) (*AccessCheck, error) {
	in, err := visibleInstance(ctx, s.store, who, req.InstanceID)
	if err != nil {
		return nil, err
	}
	facts, err := s.sender(ctx, who, in, &req)
	if err != nil {
		return nil, err
	}
	at := time.Now()
	if req.At != nil {
		at = *req.At
	}
	rules, omitted, err := s.rulesAbout(ctx, who.TenantID, facts)
	if err != nil {
		return nil, err
	}
	plan, considered := omni.ExplainAccess(in.Settings.Access.Mode, rules, facts, at)
	if facts.ChatType != message.ChatDM {
		plan = plan.Quietly()
	}
	tokens, err := s.tokens(ctx, who.TenantID, &plan, facts, at)
	if err != nil {
		return nil, err
	}
	d := plan.Decide(func(rule uuid.UUID, _ omni.RateLimit) bool { return tokens[rule] >= 1 })
	out := &AccessCheck{Decision: d.Decision, Reason: d.Reason, Mode: plan.Mode, Considered: considered, Omitted: omitted}
	if d.RuleID.Valid {
		out.RuleID = &d.RuleID.UUID
	}
	explain(considered, d.RuleID)
	if who.InstanceIDs != nil { // that there are rules for every instance is all such a key learns
		for i := range out.Considered {
			if out.Considered[i].InstanceID == nil && !out.Considered[i].Decided {
				out.Considered[i].Why = "a rule for every instance"
			}
		}
	}
	return out, nil
}

// explain says of the rules that apply which one decides, and why the others
// do not. They stand in the order in which they are asked.
func explain(considered []omni.Considered, decided uuid.NullUUID) {
	over := false
	for i := range considered {
		c := &considered[i]
		switch {
		case decided.Valid && c.RuleID == decided.UUID:
			c.Decided, c.Why, over = true, "it decides", true
		case c.Matched && over:
			c.Why = omni.WhyNotAsked
		case c.Matched:
			c.Why = "within its rate limit"
		}
	}
}

// rulesAbout are the rules that may be about a sender, and others until there
// are enough to explain.
func (s *Access) rulesAbout(ctx context.Context, tenant string, f *omni.AccessFacts) (rules []omni.AccessRule, omitted bool, err error) {
	if rules, err = s.store.AccessCandidates(ctx, tenant, f); err != nil {
		return nil, false, err
	}
	others, err := s.store.AccessRulesFor(ctx, tenant, f.InstanceID, maxConsidered+1)
	if err != nil {
		return nil, false, err
	}
	if omitted = len(others) > maxConsidered; omitted {
		others = others[:maxConsidered]
	}
	for i := range others {
		if !slices.ContainsFunc(rules, func(r omni.AccessRule) bool { return r.ID == others[i].ID }) {
			rules = append(rules, others[i])
		}
	}
	return rules, omitted, nil
}

// tokens reads what is in the buckets of a plan.
func (s *Access) tokens(ctx context.Context, tenant string, plan *omni.AccessPlan, f *omni.AccessFacts, at time.Time) (map[uuid.UUID]float64, error) {
	left := map[uuid.UUID]float64{}
	for i := range plan.Steps {
		step := &plan.Steps[i]
		if step.RateLimit == nil {
			continue
		}
		n, err := s.store.AccessTokens(ctx, tenant, step.RuleID.UUID, f.IdentityID.UUID, *step.RateLimit, at)
		if err != nil {
			return nil, err
		}
		left[step.RuleID.UUID] = n
	}
	return left, nil
}

// sender is who the request means, with what is known of them.
func (s *Access) sender(ctx context.Context, who *omni.APIKey, in *omni.Instance, req *AccessCheckRequest) (*omni.AccessFacts, error) {
	var c checks
	phone, ok := omni.NormalizePhone(req.Phone)
	if req.Phone != "" && !ok {
		c.add("phone", "must be a phone number with its country's code")
	}
	if req.Phone == "" && req.PlatformUserID == "" && req.PersonID == nil && req.Handle == "" {
		c.add("platformUserId", "one of platformUserId, phone, personId and handle is required")
	}
	c.text("platformUserId", req.PlatformUserID, 500)
	c.text("handle", req.Handle, 250)
	if err := c.err(); err != nil {
		return nil, err
	}
	f := &omni.AccessFacts{ChatType: message.ChatDM}
	if req.Phone != "" || req.PlatformUserID != "" || req.PersonID != nil {
		if err := s.known(ctx, who, in, req, phone, f); err != nil {
			return nil, err
		}
	}
	f.InstanceID, f.Channel = in.ID, in.Channel
	if req.Handle != "" {
		f.Handle = strings.TrimLeft(req.Handle, "@")
	}
	return f, s.place(ctx, who, in, req, f)
}

// known fills in the account that is meant; nobody need have written from it.
func (s *Access) known(ctx context.Context, who *omni.APIKey, in *omni.Instance, req *AccessCheckRequest, phone string, f *omni.AccessFacts) error {
	var person *omni.Person
	var personID uuid.NullUUID
	if req.PersonID != nil {
		var err error
		if person, err = s.visiblePerson(ctx, who, *req.PersonID); err != nil {
			return orNotFound(err, "person")
		}
		personID = uuid.NullUUID{UUID: person.ID, Valid: true}
	}
	found, ok, err := s.store.AccessSender(ctx, who.TenantID, in.ID, req.PlatformUserID, phone, personID)
	if err != nil {
		return err
	}
	if ok {
		*f = found
		f.ChatType = message.ChatDM
		return nil
	}
	f.PlatformUserID, f.PersonID = req.PlatformUserID, personID
	if req.PlatformUserID != "" {
		f.IdentityID = uuid.NullUUID{UUID: omni.IdentityID(in.ID, req.PlatformUserID), Valid: true}
	}
	if phone != "" {
		f.Phones = append(f.Phones, phone)
	}
	if person != nil {
		if known, ok := omni.NormalizePhone(person.Phone); ok {
			f.Phones = append(f.Phones, known)
		}
	}
	return nil
}

func (s *Access) place(ctx context.Context, who *omni.APIKey, in *omni.Instance, req *AccessCheckRequest, f *omni.AccessFacts) error {
	if req.ChatID == nil {
		return nil
	}
	chat, err := s.visibleChat(ctx, who, *req.ChatID)
	if err != nil {
		return orNotFound(err, "chat")
	}
	if chat.InstanceID != in.ID {
		return invalid("chatId", "belongs to another instance")
	}
	f.ChatID, f.ChatType = chat.ID, chat.Type
	return nil
}
