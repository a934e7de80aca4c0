package store_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/store"
)

// newGuarded makes a world whose instance controls access.
func newGuarded(t *testing.T, mode string) *world {
	t.Helper()
	w := newWorld(t)
	w.guard(mode)
	return w
}

// again is the same database as another process has it.
func (w *world) again(t *testing.T) *world {
	t.Helper()
	st, err := store.Open(t.Context(), w.Pool().Config().ConnString(), 4)
	require.NoError(t, err)
	t.Cleanup(st.Close)
	return &world{Store: st, t: t, instance: w.instance, seq: w.seq}
}

func (w *world) guard(mode string) {
	w.t.Helper()
	_, err := w.Pool().Exec(w.t.Context(), `INSERT INTO instances (id, tenant_id, name, channel, settings)
		VALUES ($1, $2, 'guarded', 'custom', jsonb_build_object('access', jsonb_build_object('mode', $3::text)))
		ON CONFLICT (id) DO UPDATE SET settings = excluded.settings`, w.instance, omni.DefaultTenant, mode)
	require.NoError(w.t, err)
}

func (w *world) rule(r omni.AccessRule) *omni.AccessRule {
	w.t.Helper()
	r.ID, r.TenantID, r.Source = uuid.Must(uuid.NewV7()), omni.DefaultTenant, omni.RuleFromAPI
	r.Match = r.Match.Normalized()
	out, err := w.CreateAccessRule(w.t.Context(), r)
	require.NoError(w.t, err)
	return out
}

// asked records a message that access.Check decides about.
func (w *world) asked(e omni.Envelope) omni.Envelope {
	w.t.Helper()
	e.Admission = &omni.Admission{Begins: true, Status: omni.StatusReceived}
	w.record(e)
	return e
}

// check is what the step does.
func (w *world) check(e omni.Envelope) *omni.AccessAnswer {
	w.t.Helper()
	m, err := w.InboundMessage(w.t.Context(), e.MessageID)
	require.NoError(w.t, err)
	q, err := w.AccessQuestion(w.t.Context(), e.MessageID)
	require.NoError(w.t, err)
	a, err := w.CheckMessage(w.t.Context(), e.MessageID, q.Plan(m, time.Now()), w.attempt())
	require.NoError(w.t, err)
	return a
}

func (w *world) count(query string, args ...any) (n int) {
	w.t.Helper()
	require.NoError(w.t, w.Pool().QueryRow(w.t.Context(), query, args...).Scan(&n))
	return n
}

// The rules that Postgres finds by their keys decide as all rules do.
func TestAccessCandidatesDecideLikeAllRules(t *testing.T) {
	t.Parallel()
	w := newGuarded(t, omni.AccessBlocklist)
	rnd := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a test's chance
	pick := func(of ...string) string { return of[rnd.IntN(len(of))] }
	id := func(n int) uuid.UUID { return uuid.NewSHA1(w.instance, []byte{byte(n)}) }
	users := []string{"u1", "u2", "user-of-a-long-name", `a*b`, `a\b`, "ü1"}
	phones := []string{"+5511987654321", "+5511900000001", "+12025550143", "+442079460018"}
	handles := []string{"ana", "Ana.B", "bob_the_builder_of_houses", "ÄNA"}
	var all []omni.AccessRule
	for range 300 {
		r := omni.AccessRule{Type: pick(omni.RuleAllow, omni.RuleDeny, omni.RuleSilent), Priority: rnd.IntN(3)}
		if rnd.IntN(3) == 0 {
			r.InstanceID = &w.instance
		} else if rnd.IntN(5) == 0 {
			other := uuid.New()
			r.InstanceID = &other
			_, err := w.Pool().Exec(t.Context(), `INSERT INTO instances (id, tenant_id, name, channel, settings) VALUES ($1, $2, 'x', 'custom', '{}')`,
				other, omni.DefaultTenant)
			require.NoError(t, err)
		}
		m := &r.Match
		if rnd.IntN(6) == 0 {
			p := id(rnd.IntN(3))
			m.PersonID = &p
		}
		if rnd.IntN(4) == 0 {
			m.PlatformUserID = pick(omni.EscapeGlob(pick(users...)), "u*", "*", "user-of-a-*", "*1", `a\*b`, `a*`, "ü*")
		}
		if rnd.IntN(4) == 0 {
			m.Phone = pick(pick(phones...), "+55*", "*", "+5511987*", "*0143", "+55119876543*", "+551198765432*")
		}
		if rnd.IntN(4) == 0 {
			m.Handle = pick(pick(handles...), "@ANA", "ana*", "*b*", "bob_the_build*", "Ä*")
		}
		if rnd.IntN(6) == 0 {
			c := id(rnd.IntN(3))
			m.ChatID = &c
		}
		if rnd.IntN(6) == 0 {
			m.ChatType = message.ChatType(pick("dm", "group"))
		}
		if rnd.IntN(6) == 0 {
			m.Channel = pick("custom", "cus*", "telegram", "*")
		}
		all = append(all, *w.rule(r))
	}
	matched := 0
	for range 200 {
		f := omni.AccessFacts{InstanceID: w.instance, Channel: "custom", ChatID: id(rnd.IntN(3)), ChatType: message.ChatType(pick("dm", "group")),
			PersonID:       uuid.NullUUID{UUID: id(rnd.IntN(3)), Valid: rnd.IntN(2) == 0},
			PlatformUserID: pick(append(users, "")...), Handle: pick(append(handles, "", "")...)}
		if rnd.IntN(2) == 0 {
			f.Phones = []string{pick(phones...)}
		}
		found, err := w.AccessCandidates(t.Context(), omni.DefaultTenant, &f)
		require.NoError(t, err)
		require.Less(t, len(found), len(all))
		now := time.Now()
		for i := range all {
			if applies, _ := all[i].Applies(&f, now); applies {
				matched++
				require.True(t, slices.ContainsFunc(found, func(r omni.AccessRule) bool { return r.ID == all[i].ID }), "%+v of %+v", all[i], f)
			}
		}
		require.Equal(t, omni.PlanAccess(omni.AccessBlocklist, slices.Clone(all), &f, now), omni.PlanAccess(omni.AccessBlocklist, found, &f, now))
	}
	require.Greater(t, matched, 1000, "the senders are such as the rules are about")
	found, err := w.AccessCandidates(t.Context(), "another", &omni.AccessFacts{InstanceID: w.instance, Channel: "custom"})
	require.NoError(t, err)
	require.Empty(t, found, "another tenant's rules are nobody's")
}

func TestCheckKnowsTheSender(t *testing.T) {
	t.Parallel()
	w := newGuarded(t, omni.AccessAllowlist)
	e := w.inbound("c1", "ana", "m1", "hello")
	e.Event.Sender.Phone, e.Event.Sender.Username = "+55 11 98765-4321", "@Ana"
	w.asked(e)
	q, err := w.AccessQuestion(t.Context(), e.MessageID)
	require.NoError(t, err)
	require.Equal(t, []string{"+5511987654321"}, q.Phones)
	require.Equal(t, "ana", q.Handle)
	require.Equal(t, "ana", q.PlatformUserID)
	require.Equal(t, omni.IdentityID(w.instance, "ana"), q.IdentityID.UUID)
	require.Equal(t, e.ChatID(), q.ChatID)
	require.Equal(t, message.ChatDM, q.ChatType)
	require.Equal(t, omni.AccessAllowlist, *q.Mode)
	require.False(t, q.Paused)
	require.Empty(t, q.Rules)

	// By another phone of the person, too.
	_, err = w.Pool().Exec(t.Context(), `UPDATE persons SET phone = '+12025550143' WHERE id = $1`, q.PersonID)
	require.NoError(t, err)
	r := w.rule(omni.AccessRule{Type: omni.RuleAllow, Match: omni.RuleMatch{Phone: "+1202*"}, Reason: "friends"})
	a := w.check(e)
	require.Equal(t, "allow", a.Decision)
	require.Equal(t, r.ID, a.RuleID.UUID)
	require.Equal(t, "friends", a.Reason)
	m, err := w.InboundMessage(t.Context(), e.MessageID)
	require.NoError(t, err)
	require.Equal(t, omni.StatusProcessing, m.Status)
	require.Equal(t, r.ID, m.Access.RuleID.UUID)
	require.Nil(t, m.Question)

	_, err = w.AccessQuestion(t.Context(), uuid.New())
	require.ErrorIs(t, err, omni.ErrNotFound)
}

// What reads the message reads the question with it.
func TestTheQuestionComesWithTheMessage(t *testing.T) {
	t.Parallel()
	w := newGuarded(t, omni.AccessBlocklist)
	w.rule(omni.AccessRule{Type: omni.RuleDeny})
	e := w.asked(w.inbound("c1", "ana", "m1", "hello"))
	other := w.again(t)
	m, err := other.InboundMessage(t.Context(), e.MessageID)
	require.NoError(t, err)
	require.NotNil(t, m.Question)
	require.Len(t, m.Question.Rules, 1)
	require.Equal(t, w.instance, m.Question.InstanceID)
}

// A message is decided once, however often the step runs, and takes one token.
func TestCheckTakesOneTokenAMessage(t *testing.T) {
	t.Parallel()
	w := newGuarded(t, omni.AccessBlocklist)
	r := w.rule(omni.AccessRule{Type: omni.RuleAllow, RateLimit: &omni.RateLimit{Count: 2, PerSeconds: 3600}})
	other := w.again(t)
	var decisions []string
	for i := range 4 {
		e := w.asked(w.inbound("c1", "ana", fmt.Sprint("m", i), "hello"))
		first := w.check(e)
		decisions = append(decisions, first.Decision)
		for range 3 {
			require.Equal(t, first.Decision, w.check(e).Decision)
			require.Equal(t, first, other.check(e))
		}
		if first.Decision == omni.AccessDeny {
			require.Equal(t, "rate limit: more than 2 in 3600 s", first.Reason)
			require.Equal(t, r.ID, first.RuleID.UUID)
		}
		require.Equal(t, 1, w.count(`SELECT count(*) FROM events WHERE type = 'access.checked' AND correlation_id = $1`, e.MessageID))
	}
	require.Equal(t, []string{"allow", "allow", "deny", "deny"}, decisions)
	eva := w.asked(w.inbound("c2", "eva", "e1", "hello"))
	require.Equal(t, "allow", w.check(eva).Decision, "each account has a bucket of its own")

	tokens, err := w.AccessTokens(t.Context(), omni.DefaultTenant, r.ID, omni.IdentityID(w.instance, "ana"), *r.RateLimit, time.Now())
	require.NoError(t, err)
	require.InDelta(t, 0, tokens, 0.1)
	tokens, err = w.AccessTokens(t.Context(), omni.DefaultTenant, r.ID, omni.IdentityID(w.instance, "ana"), *r.RateLimit, time.Now().Add(time.Hour))
	require.NoError(t, err)
	require.InDelta(t, 2, tokens, 0.01)
	_, err = w.Pool().Exec(t.Context(), `UPDATE access_buckets SET filled_at = filled_at - interval '31 minutes'`)
	require.NoError(t, err)
	require.Equal(t, "allow", w.check(w.asked(w.inbound("c1", "ana", "later", "hello"))).Decision)
	require.Equal(t, "deny", w.check(w.asked(w.inbound("c1", "ana", "later still", "hello"))).Decision)
}

// However many processes decide at once, no more get through than the bucket holds.
func TestBucketsHoldUnderLoad(t *testing.T) {
	t.Parallel()
	w := newGuarded(t, omni.AccessBlocklist)
	w.rule(omni.AccessRule{Type: omni.RuleAllow, RateLimit: &omni.RateLimit{Count: 5, PerSeconds: 100_000}})
	var es []omni.Envelope
	for i := range 16 {
		es = append(es, w.asked(w.inbound("c1", "ana", fmt.Sprint("m", i), "hello")))
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	count := map[string]int{}
	for _, e := range slices.Concat(es, es) {
		wg.Go(func() {
			d := w.check(e).Decision
			mu.Lock()
			defer mu.Unlock()
			count[d]++
		})
	}
	wg.Wait()
	require.Equal(t, map[string]int{"allow": 10, "deny": 22}, count, "each message twice")
}

// A rule that denies with a limit leaves the first to the other rules.
func TestDenyBeyondALimit(t *testing.T) {
	t.Parallel()
	w := newGuarded(t, omni.AccessBlocklist)
	w.rule(omni.AccessRule{Type: omni.RuleSilent, RateLimit: &omni.RateLimit{Count: 1, PerSeconds: 3600}})
	first := w.check(w.asked(w.inbound("c1", "ana", "m1", "hello")))
	require.Equal(t, omni.AccessDecision{Mode: "blocklist", Decision: "allow", Reason: "no rule denies"}, first.AccessDecision)
	require.Equal(t, omni.AccessSilent, w.check(w.asked(w.inbound("c1", "ana", "m2", "hello"))).Decision)
}

// A denial is told once in 24 hours, as a message that is sent whatever happens.
func TestNoticesAreSaidOnce(t *testing.T) {
	t.Parallel()
	w := newGuarded(t, omni.AccessBlocklist)
	r := w.rule(omni.AccessRule{Type: omni.RuleDeny, Match: omni.RuleMatch{PlatformUserID: "ana"}, Notice: "You cannot write here."})
	first := w.asked(w.inbound("c1", "ana", "m1", "hello"))
	a := w.check(first)
	require.True(t, a.Said.Valid)
	require.Equal(t, a.Said, w.check(first).Said, "until it is known to be on its way")
	unstarted, err := w.UnstartedOutbound(t.Context(), 0, 10)
	require.NoError(t, err)
	require.Len(t, unstarted, 1)
	require.Equal(t, a.Said.UUID, unstarted[0].MessageID)
	require.Equal(t, first.ChatID(), unstarted[0].ChatID)
	require.NoError(t, w.MarkOutboundStarted(t.Context(), omni.DefaultTenant, a.Said.UUID))
	require.False(t, w.check(first).Said.Valid)
	said, err := w.Message(t.Context(), omni.DefaultTenant, a.Said.UUID)
	require.NoError(t, err)
	require.Equal(t, "You cannot write here.", said.Content.Text)
	require.Equal(t, omni.StatusQueued, said.Status)
	require.Equal(t, first.MessageID, *said.CorrelationID)
	require.Nil(t, said.TurnID, "no agent has a part in it")
	m, err := w.Message(t.Context(), omni.DefaultTenant, first.MessageID)
	require.NoError(t, err)
	require.Equal(t, omni.StatusDenied, m.Status)
	require.Equal(t, r.ID, *m.Access.RuleID)

	require.False(t, w.check(w.asked(w.inbound("c1", "ana", "m2", "hello"))).Said.Valid)
	_, err = w.Pool().Exec(t.Context(), `UPDATE access_notices SET told_at = told_at - interval '25 hours'`)
	require.NoError(t, err)
	require.True(t, w.check(w.asked(w.inbound("c1", "ana", "m3", "hello"))).Said.Valid)

	group := w.inbound("g1", "ana", "m4", "hello")
	group.Event.Chat.Type = message.ChatGroup
	_, err = w.Pool().Exec(t.Context(), `DELETE FROM access_notices`)
	require.NoError(t, err)
	g := w.check(w.asked(group))
	require.Equal(t, omni.AccessDeny, g.Decision)
	require.False(t, g.Said.Valid, "a group is told nothing")
	history := w.inbound("c1", "ana", "m5", "hello")
	history.Event.Backfill = true
	require.False(t, w.check(w.asked(history)).Said.Valid, "nor is who wrote long ago")
	_, err = w.Pool().Exec(t.Context(), `UPDATE chats SET paused = true`)
	require.NoError(t, err)
	require.False(t, w.check(w.asked(w.inbound("c1", "ana", "m6", "hello"))).Said.Valid, "nor where a person talks")
}

// Rules that are changed decide otherwise about the very next message, whoever
// decides.
func TestRulesTakeEffectAtOnce(t *testing.T) {
	t.Parallel()
	w := newGuarded(t, omni.AccessBlocklist)
	other := w.again(t)
	n := 0
	decide := func() string {
		n++
		e := w.asked(w.inbound("c1", "ana", fmt.Sprint("m", n), "hello"))
		if n%2 == 0 {
			return other.check(e).Decision
		}
		return w.check(e).Decision
	}
	for range 2 { // by one process, then by the other
		require.Equal(t, "allow", decide())
		r := w.rule(omni.AccessRule{Type: omni.RuleDeny, Match: omni.RuleMatch{PlatformUserID: "a*"}})
		require.Equal(t, "deny", decide())
		_, err := w.PatchAccessRule(t.Context(), omni.DefaultTenant, r.ID, func(r *omni.AccessRule) error {
			r.Match = omni.RuleMatch{PlatformUserID: "b*"}
			return nil
		})
		require.NoError(t, err)
		require.Equal(t, "allow", decide())
		_, err = w.PatchAccessRule(t.Context(), omni.DefaultTenant, r.ID, func(r *omni.AccessRule) error {
			r.Match = omni.RuleMatch{PlatformUserID: "ana"}
			return nil
		})
		require.NoError(t, err)
		require.Equal(t, "deny", decide())
		require.Equal(t, "deny", decide(), "both have read it")
		_, err = other.PatchAccessRule(t.Context(), omni.DefaultTenant, r.ID, func(r *omni.AccessRule) error {
			r.Type = omni.RuleSilent // found as before, and says something else
			return nil
		})
		require.NoError(t, err)
		require.Equal(t, []string{"silent", "silent"}, []string{decide(), decide()})
		require.NoError(t, w.DeleteAccessRule(t.Context(), omni.DefaultTenant, r.ID))
		require.Equal(t, "allow", decide())
		require.ErrorIs(t, w.DeleteAccessRule(t.Context(), omni.DefaultTenant, r.ID), omni.ErrNotFound)
		require.Equal(t, "allow", decide())
	}
	w.guard(omni.AccessAllowlist)
	require.Equal(t, "deny", decide())
	_, err := w.Pool().Exec(t.Context(), `UPDATE instances SET deleted_at = now()`)
	require.NoError(t, err)
	require.Equal(t, "silent", decide())
}

// A rule about a person goes where the person goes.
func TestRulesFollowThePerson(t *testing.T) {
	t.Parallel()
	w := newGuarded(t, omni.AccessBlocklist)
	e := w.asked(w.inbound("c1", "ana", "m1", "hello"))
	w.check(e)
	source := uuid.New()
	w.rule(omni.AccessRule{Type: omni.RuleDeny, Match: omni.RuleMatch{PersonID: &source}})
	require.Equal(t, "allow", w.check(w.asked(w.inbound("c1", "ana", "m2", "hello"))).Decision)
	_, err := w.Pool().Exec(t.Context(), `UPDATE access_rules SET person_id = $1 WHERE person_id = $2`,
		omni.FirstPersonID(omni.IdentityID(w.instance, "ana")), source)
	require.NoError(t, err)
	require.Equal(t, "deny", w.check(w.asked(w.inbound("c1", "ana", "m3", "hello"))).Decision)
	require.Equal(t, "allow", w.check(w.asked(w.inbound("c2", "eve", "e1", "hello"))).Decision)
	_, err = w.Pool().Exec(t.Context(), `UPDATE access_rules SET person_id = $1`, omni.FirstPersonID(omni.IdentityID(w.instance, "eve")))
	require.NoError(t, err)
	require.Equal(t, "deny", w.check(w.asked(w.inbound("c2", "eve", "e2", "hello"))).Decision, "whatever was known of the rule before")
	require.Equal(t, "allow", w.check(w.asked(w.inbound("c1", "ana", "m4", "hello"))).Decision)
}

// What identity.Resolve and access.Check ask of Postgres: the message with all
// that deciding needs, and the decision. A rule that this process has not read
// as it now stands costs one more, once.
func TestResolveAndCheckAreTwoRoundTrips(t *testing.T) {
	t.Parallel()
	w := newGuarded(t, omni.AccessBlocklist)
	r := w.rule(omni.AccessRule{Type: omni.RuleDeny, Match: omni.RuleMatch{PlatformUserID: "a*"}})
	other := w.again(t) // in whose memory the message is not
	n := 0
	trips := func(want string) int64 {
		n++
		e := w.asked(w.inbound("c1", "ana", fmt.Sprint("m", n), "hello"))
		before := other.Pool().Stat().AcquireCount()
		m, err := other.InboundMessage(t.Context(), e.MessageID)
		require.NoError(t, err)
		a, err := other.CheckMessage(t.Context(), e.MessageID, m.Question.Plan(m, time.Now()), other.attempt())
		require.NoError(t, err)
		require.Equal(t, want, a.Decision)
		return other.Pool().Stat().AcquireCount() - before
	}
	require.EqualValues(t, 3, trips("deny"))
	require.EqualValues(t, 2, trips("deny"))
	_, err := w.PatchAccessRule(t.Context(), omni.DefaultTenant, r.ID, func(r *omni.AccessRule) error {
		r.Type = omni.RuleSilent
		return nil
	})
	require.NoError(t, err)
	require.EqualValues(t, 3, trips("silent"))
	require.EqualValues(t, 2, trips("silent"))
}
