package omni

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels/message"
)

// The place of a rule's id says its age, and names it.
func ruleID(n byte) uuid.UUID { return uuid.UUID{15: n} }

func accessFacts() *AccessFacts {
	return &AccessFacts{InstanceID: uuid.UUID{0: 1}, Channel: "telegram", ChatID: uuid.UUID{0: 2}, ChatType: message.ChatDM,
		PersonID: uuid.NullUUID{UUID: uuid.UUID{0: 3}, Valid: true}, PlatformUserID: "u1", Handle: "Ana", Phones: []string{"+5511987654321"}}
}

func TestRuleApplies(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC) // a Monday
	earlier, later := now.Add(-time.Second), now.Add(time.Second)
	f := accessFacts()
	for name, c := range map[string]struct {
		rule AccessRule
		why  string
	}{
		"everybody":                    {AccessRule{}, ""},
		"the instance":                 {AccessRule{InstanceID: &f.InstanceID}, ""},
		"another instance":             {AccessRule{InstanceID: new(uuid.New())}, "another instance"},
		"the person":                   {AccessRule{Match: RuleMatch{PersonID: &f.PersonID.UUID}}, ""},
		"another person":               {AccessRule{Match: RuleMatch{PersonID: new(uuid.New())}}, "another person"},
		"the account":                  {AccessRule{Match: RuleMatch{PlatformUserID: "u1"}}, ""},
		"accounts like it":             {AccessRule{Match: RuleMatch{PlatformUserID: "u*"}}, ""},
		"another account":              {AccessRule{Match: RuleMatch{PlatformUserID: "u2"}}, "another account"},
		"an account named star":        {AccessRule{Match: RuleMatch{PlatformUserID: `\*`}}, "another account"},
		"the phone":                    {AccessRule{Match: RuleMatch{Phone: "+5511987654321"}}, ""},
		"phones like it":               {AccessRule{Match: RuleMatch{Phone: "+5511*"}}, ""},
		"another phone":                {AccessRule{Match: RuleMatch{Phone: "+1*"}}, "another phone, or none"},
		"the handle, in another case":  {AccessRule{Match: RuleMatch{Handle: "aNA"}}, ""},
		"the handle with @":            {AccessRule{Match: RuleMatch{Handle: "@ana"}}, ""},
		"another handle":               {AccessRule{Match: RuleMatch{Handle: "bob"}}, "another handle, or none"},
		"the chat":                     {AccessRule{Match: RuleMatch{ChatID: &f.ChatID}}, ""},
		"another chat":                 {AccessRule{Match: RuleMatch{ChatID: new(uuid.New())}}, "another chat"},
		"direct chats":                 {AccessRule{Match: RuleMatch{ChatType: message.ChatDM}}, ""},
		"groups":                       {AccessRule{Match: RuleMatch{ChatType: message.ChatGroup}}, "another type of chat"},
		"the channel":                  {AccessRule{Match: RuleMatch{Channel: "tele*"}}, ""},
		"another channel":              {AccessRule{Match: RuleMatch{Channel: "whatsapp"}}, "another channel"},
		"all of it":                    {AccessRule{Match: RuleMatch{PlatformUserID: "u1", Channel: "telegram"}}, ""},
		"part of it":                   {AccessRule{Match: RuleMatch{PlatformUserID: "u1", Channel: "custom"}}, "another channel"},
		"expires later":                {AccessRule{ExpiresAt: &later}, ""},
		"expired":                      {AccessRule{ExpiresAt: &earlier}, "expired"},
		"expires now":                  {AccessRule{ExpiresAt: &now}, "expired"},
		"within its schedule":          {AccessRule{Schedule: &Schedule{Days: []string{"mon"}}}, ""},
		"outside its schedule":         {AccessRule{Schedule: &Schedule{Days: []string{"tue"}}}, "outside its schedule"},
		"a zone that is no more known": {AccessRule{Schedule: &Schedule{TimeZone: "Local"}}, "its schedule cannot be read: unknown time zone Local"},
	} {
		applies, why := c.rule.Applies(f, now)
		require.Equal(t, c.why, why, name)
		require.Equal(t, c.why == "", applies, name)
	}
	nobody := &AccessFacts{InstanceID: f.InstanceID}
	for _, m := range []RuleMatch{{PlatformUserID: "*"}, {Phone: "*"}, {Handle: "*"}} {
		applies, _ := (&AccessRule{Match: m}).Applies(nobody, now)
		require.False(t, applies, "%+v is about those who have one", m)
	}
}

// Of two rules, the one that must decide is named first; each pair is tried in
// both orders, and with both ages.
func TestWhichRuleDecides(t *testing.T) {
	t.Parallel()
	f := accessFacts()
	here := &f.InstanceID
	match := func(m RuleMatch) AccessRule { return AccessRule{Type: RuleAllow, Match: m} }
	person := match(RuleMatch{PersonID: &f.PersonID.UUID})
	account := match(RuleMatch{PlatformUserID: "u1"})
	phone := match(RuleMatch{Phone: "+5511987654321"})
	handle := match(RuleMatch{Handle: "ana"})
	pattern := match(RuleMatch{Phone: "+55*"})
	chat := match(RuleMatch{ChatID: &f.ChatID})
	chatType := match(RuleMatch{ChatType: message.ChatDM})
	channel := match(RuleMatch{Channel: "telegram"})
	all := match(RuleMatch{})
	with := func(r AccessRule, change func(*AccessRule)) AccessRule { change(&r); return r }
	deny := func(r *AccessRule) { r.Type = RuleDeny }
	first := func(r *AccessRule) { r.Priority = 1 }
	instance := func(r *AccessRule) { r.InstanceID = here }
	for name, pair := range map[string][2]AccessRule{
		"priority before all else":       {with(all, first), with(person, func(r *AccessRule) { instance(r); deny(r) })},
		"negative priority goes last":    {all, with(person, func(r *AccessRule) { r.Priority = -1 })},
		"instance before global":         {with(all, instance), with(person, deny)},
		"person before account":          {person, with(account, deny)},
		"account before phone":           {account, with(phone, deny)},
		"phone before handle":            {phone, with(handle, deny)},
		"handle before pattern":          {handle, with(pattern, deny)},
		"pattern before chat":            {pattern, with(chat, deny)},
		"chat before type of chat":       {chat, with(chatType, deny)},
		"type of chat before channel":    {chatType, with(channel, deny)},
		"channel before everybody":       {channel, with(all, deny)},
		"what looks at more":             {match(RuleMatch{Phone: "+55*", Channel: "telegram"}), with(pattern, deny)},
		"deny before allow":              {with(phone, deny), phone},
		"silent before allow":            {with(phone, func(r *AccessRule) { r.Type = RuleSilent }), phone},
		"a pattern of accounts is no id": {phone, with(match(RuleMatch{PlatformUserID: "u*"}), deny)},
	} {
		for _, ids := range [][2]uuid.UUID{{ruleID(1), ruleID(2)}, {ruleID(2), ruleID(1)}} {
			a, b := pair[0], pair[1]
			a.ID, b.ID = ids[0], ids[1]
			for _, rules := range [][]AccessRule{{a, b}, {b, a}} {
				plan := PlanAccess(AccessAllowlist, rules, f, time.Now())
				require.Len(t, plan.Steps, 1, name)
				require.Equal(t, a.ID, plan.Steps[0].RuleID.UUID, name)
			}
		}
	}
	older, younger := with(phone, deny), with(phone, func(r *AccessRule) { r.Type = RuleSilent })
	older.ID, younger.ID = ruleID(1), ruleID(2)
	require.Equal(t, AccessDeny, PlanAccess(AccessBlocklist, []AccessRule{younger, older}, f, time.Now()).Steps[0].Within, "the older one")
}

func TestModes(t *testing.T) {
	t.Parallel()
	f := accessFacts()
	allow := AccessRule{ID: ruleID(1), Type: RuleAllow}
	deny := AccessRule{ID: ruleID(2), Type: RuleDeny, Notice: "no"}
	silent := AccessRule{ID: ruleID(3), Type: RuleSilent, Reason: "a robot"}
	for _, c := range []struct {
		mode  string
		rules []AccessRule
		want  string
		why   string
	}{
		{"", []AccessRule{deny}, AccessAllow, "access control is disabled"},
		{AccessDisabled, []AccessRule{deny}, AccessAllow, "access control is disabled"},
		{AccessBlocklist, nil, AccessAllow, "no rule denies"},
		{AccessBlocklist, []AccessRule{deny}, AccessDeny, "a rule denies it"},
		{AccessBlocklist, []AccessRule{silent}, AccessSilent, "a robot"},
		{AccessBlocklist, []AccessRule{allow}, AccessAllow, "a rule allows it"},
		{AccessAllowlist, nil, AccessDeny, "no rule allows"},
		{AccessAllowlist, []AccessRule{allow}, AccessAllow, "a rule allows it"},
		{AccessAllowlist, []AccessRule{allow, deny}, AccessDeny, "a rule denies it"},
		{AccessPairing, nil, AccessPair, "not paired"},
		{AccessPairing, []AccessRule{allow}, AccessAllow, "a rule allows it"},
		{AccessPairing, []AccessRule{silent}, AccessSilent, "a robot"},
	} {
		plan := PlanAccess(c.mode, c.rules, f, time.Now())
		d := plan.Decide(func(uuid.UUID, RateLimit) bool { t.Error("nothing is limited"); return true })
		require.Equal(t, c.want, d.Decision, "%s %v", c.mode, c.rules)
		require.Equal(t, c.why, d.Reason, "%s %v", c.mode, c.rules)
	}
}

func TestPlanWithLimits(t *testing.T) {
	t.Parallel()
	f := accessFacts()
	limit := &RateLimit{Count: 3, PerSeconds: 60}
	flood := AccessRule{ID: ruleID(1), Type: RuleSilent, Priority: 2, RateLimit: limit}
	friends := AccessRule{ID: ruleID(2), Type: RuleAllow, Priority: 1, RateLimit: limit, Notice: "slowly"}
	rest := AccessRule{ID: ruleID(3), Type: RuleDeny}
	plan, considered := ExplainAccess(AccessBlocklist, []AccessRule{rest, flood, friends}, f, time.Now())
	require.Len(t, plan.Steps, 2)
	require.Equal(t, "one that goes before it decides", considered[2].Why)
	for _, c := range []struct {
		full map[uuid.UUID]bool
		want AccessDecision
	}{
		{nil, AccessDecision{Mode: AccessBlocklist, Decision: AccessAllow, RuleID: uuid.NullUUID{UUID: friends.ID, Valid: true}, Reason: "a rule allows it"}},
		{map[uuid.UUID]bool{flood.ID: true}, AccessDecision{Mode: AccessBlocklist, Decision: AccessSilent,
			RuleID: uuid.NullUUID{UUID: flood.ID, Valid: true}, Reason: "rate limit: more than 3 in 60 s"}},
		{map[uuid.UUID]bool{friends.ID: true}, AccessDecision{Mode: AccessBlocklist, Decision: AccessDeny,
			RuleID: uuid.NullUUID{UUID: friends.ID, Valid: true}, Reason: "rate limit: more than 3 in 60 s"}},
	} {
		require.Equal(t, c.want, plan.Decide(func(rule uuid.UUID, l RateLimit) bool { require.Equal(t, *limit, l); return !c.full[rule] }))
	}
}

func TestQuietly(t *testing.T) {
	t.Parallel()
	mode := AccessPairing
	q := &AccessQuestion{AccessFacts: *accessFacts(), Mode: &mode}
	m := &InboundMessage{Kind: message.KindMessage}
	require.Equal(t, AccessPair, q.Plan(m, time.Now()).Steps[0].Within)
	q.Rules = []AccessRule{{Type: RuleDeny, Notice: "no"}}
	require.Equal(t, "no", q.Plan(m, time.Now()).Steps[0].Notice)
	for name, change := range map[string]func(*AccessQuestion, *InboundMessage){
		"group":    func(q *AccessQuestion, _ *InboundMessage) { q.ChatType = message.ChatGroup },
		"paused":   func(q *AccessQuestion, _ *InboundMessage) { q.Paused = true },
		"reaction": func(_ *AccessQuestion, m *InboundMessage) { m.Kind = message.KindReaction },
		"history":  func(_ *AccessQuestion, m *InboundMessage) { m.Facts.Backfill = true },
	} {
		quiet, about := *q, *m
		change(&quiet, &about)
		require.Empty(t, quiet.Plan(&about, time.Now()).Steps[0].Notice, name)
		quiet.Rules = nil
		require.Equal(t, AccessSilent, quiet.Plan(&about, time.Now()).Steps[0].Within, name)
	}
	q.Mode = nil
	require.Equal(t, AccessSilent, q.Plan(m, time.Now()).Steps[0].Within, "the instance was deleted")
}

// randomRule draws a rule that has something to do with accessFacts.
func randomRule(rnd *rand.Rand, n byte, now time.Time) AccessRule {
	f := accessFacts()
	r := AccessRule{ID: ruleID(n), Type: []string{RuleAllow, RuleDeny, RuleSilent}[rnd.IntN(3)], Priority: rnd.IntN(3) - 1}
	chance := func(n int) bool { return rnd.IntN(n) == 0 }
	if chance(3) {
		r.InstanceID = &f.InstanceID
	}
	if chance(4) {
		at := now.Add(time.Duration(rnd.IntN(3)-1) * time.Hour)
		r.ExpiresAt = &at
	}
	if chance(6) {
		r.Schedule = &Schedule{Days: []string{Days()[rnd.IntN(7)]}}
	}
	if chance(4) {
		r.RateLimit = &RateLimit{Count: 1 + rnd.IntN(3), PerSeconds: 60}
	}
	if chance(5) {
		r.Match.PersonID = &f.PersonID.UUID
	}
	if chance(4) {
		r.Match.PlatformUserID = []string{"u1", "u*", "u2"}[rnd.IntN(3)]
	}
	if chance(4) {
		r.Match.Phone = []string{"+5511987654321", "+55*", "+1*"}[rnd.IntN(3)]
	}
	if chance(5) {
		r.Match.Channel = []string{"telegram", "t*", "custom"}[rnd.IntN(3)]
	}
	return r
}

// Whatever the rules: their order in the list changes nothing, and what does
// not apply, an expired one above all, might as well not be there.
func FuzzPlanAccess(f *testing.F) {
	for seed := range uint64(50) {
		f.Add(seed, seed*7, uint8(seed%40))
	}
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, a, b uint64, n uint8) {
		rnd := rand.New(rand.NewPCG(a, b)) //nolint:gosec // a test's chance
		facts := accessFacts()
		rules := make([]AccessRule, n)
		for i := range rules {
			rules[i] = randomRule(rnd, byte(i), now)
		}
		for _, mode := range []string{AccessBlocklist, AccessAllowlist, AccessPairing, AccessDisabled} {
			want, considered := ExplainAccess(mode, slices.Clone(rules), facts, now)
			shuffled := slices.Clone(rules)
			rnd.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
			again, alike := ExplainAccess(mode, shuffled, facts, now)
			require.Equal(t, want, again)
			require.Equal(t, considered, alike)
			require.Equal(t, want, PlanAccess(mode, slices.DeleteFunc(slices.Clone(rules), func(r AccessRule) bool {
				return r.ExpiresAt != nil && !r.ExpiresAt.After(now)
			}), facts, now), "what expired does not matter")
			require.Equal(t, want, PlanAccess(mode, slices.DeleteFunc(slices.Clone(rules), func(r AccessRule) bool {
				applies, _ := r.Applies(facts, now)
				return !applies
			}), facts, now))
			for i, s := range want.Steps {
				require.Equal(t, i == len(want.Steps)-1, s.final(), "the last step, and no other, decides by itself")
			}
			for _, left := range []bool{true, false} {
				d := want.Decide(func(uuid.UUID, RateLimit) bool { return left })
				require.Contains(t, []string{AccessAllow, AccessDeny, AccessSilent, AccessPair}, d.Decision)
				require.NotEmpty(t, d.Reason)
			}
		}
	})
}

func TestKeyOfAMatch(t *testing.T) {
	t.Parallel()
	chat := uuid.New()
	for want, m := range map[string]RuleMatch{
		"*":                      {},
		"user=u1":                {PlatformUserID: "u1", Phone: "+55*"},
		"user=*":                 {PlatformUserID: `\*`},
		"phone=+5511987654321":   {Phone: "+5511987654321", Handle: "ana"},
		"handle=ana":             {Handle: "@ANA", ChatID: &chat},
		"chat:" + chat.String():  {ChatID: &chat, Phone: "+55*"},
		"phone~+5511":            {Phone: "+5511*", Handle: "an*", Channel: "telegram"},
		"phone~+55119876":        {Phone: "+5511987654*"},
		"phone~+55119876543":     {Phone: "+551198765432*"},
		"phone~":                 {Phone: "*4321"},
		"handle~äöüäöüäöüäöü":    {Handle: "äöüäöüäöüäöüäöü*"},
		"type:group":             {ChatType: message.ChatGroup, Channel: "telegram"},
		"channel:telegram":       {Channel: "telegram"},
		"user~":                  {PlatformUserID: "u*", Channel: "tele*"},
		"user=" + "\\" + "name*": {PlatformUserID: `\\name\*`},
	} {
		require.Equal(t, want, m.Key(), "%+v", m)
	}
	require.Equal(t, "*", (&RuleMatch{Channel: "tele*"}).Key())
}

func TestPairingCodes(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 200 {
		code := NewPairingCode()
		require.False(t, seen[code])
		seen[code] = true
		parsed, ok := ParsePairingCode(ShowPairingCode(code))
		require.True(t, ok)
		require.Equal(t, code, parsed)
		require.Contains(t, PairingText(code), ShowPairingCode(code))
	}
	for typed, want := range map[string]string{"k7qm-2xpa": "K7QM2XPA", "K7QM 2XPA\n": "K7QM2XPA", "K7QM2XPA": "K7QM2XPA"} {
		code, ok := ParsePairingCode(typed)
		require.True(t, ok, typed)
		require.Equal(t, want, code)
	}
	for _, typed := range []string{"", "K7QM", "K7QM-2XP0", "K7QM-2XPAA", "ÄÄÄÄ", "K7QM2XPO"} {
		_, ok := ParsePairingCode(typed)
		require.False(t, ok, typed)
	}
}
