package store_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
)

func (w *world) pairings() []omni.Pairing {
	w.t.Helper()
	list, err := w.ListPairings(w.t.Context(), omni.DefaultTenant, omni.PairingFilter{InstanceID: w.instance}, omni.Page{Limit: 100})
	require.NoError(w.t, err)
	return list
}

func (w *world) told(a *omni.AccessAnswer) string {
	w.t.Helper()
	require.True(w.t, a.Said.Valid)
	m, err := w.Message(w.t.Context(), omni.DefaultTenant, a.Said.UUID)
	require.NoError(w.t, err)
	return m.Content.Text
}

func (w *world) verdict(v omni.PairingVerdict) *omni.PairingResult {
	w.t.Helper()
	v.TenantID = omni.DefaultTenant
	r, err := w.DecidePairing(w.t.Context(), v)
	require.NoError(w.t, err)
	return r
}

func plainCode(p omni.Pairing) string { return strings.ReplaceAll(p.Code, "-", "") }

func TestPairing(t *testing.T) {
	t.Parallel()
	w := newGuarded(t, omni.AccessPairing)
	first := w.asked(w.inbound("c1", "ana", "m1", "hello"))
	a := w.check(first)
	require.Equal(t, omni.AccessPair, a.Decision)
	list := w.pairings()
	require.Len(t, list, 1)
	require.Equal(t, omni.PairingOpen, list[0].Status)
	require.Equal(t, "ana", list[0].PlatformUserID)
	require.Equal(t, first.MessageID, list[0].MessageID)
	require.WithinDuration(t, time.Now().Add(time.Hour), list[0].ExpiresAt, time.Minute)
	require.Equal(t, omni.PairingText(plainCode(list[0])), w.told(a))

	b := w.check(w.asked(w.inbound("c1", "ana", "m2", "hello?")))
	require.Equal(t, omni.AccessPair, b.Decision)
	require.False(t, b.Said.Valid, "once")

	r := w.verdict(omni.PairingVerdict{Code: plainCode(list[0]), Approve: true, By: "the owner"})
	require.Equal(t, omni.PairingDecided, r.State)
	require.Equal(t, omni.PairingApproved, r.Pairing.Status)
	rule, err := w.AccessRule(t.Context(), omni.DefaultTenant, *r.Pairing.RuleID)
	require.NoError(t, err)
	require.Equal(t, omni.RuleFromPairing, rule.Source)
	require.Equal(t, w.instance, *rule.InstanceID)
	c := w.check(w.asked(w.inbound("c1", "ana", "m3", "hello!")))
	require.Equal(t, omni.AccessAllow, c.Decision)
	require.Equal(t, rule.ID, c.RuleID.UUID)
	require.Equal(t, omni.PairingUnknown, w.verdict(omni.PairingVerdict{Code: plainCode(list[0]), Approve: true}).State, "a code opens once")
	require.Equal(t, omni.PairingClosed, w.verdict(omni.PairingVerdict{ID: uuid.NullUUID{UUID: list[0].ID, Valid: true}, Approve: true}).State)
	require.Equal(t, 1, w.count(`SELECT count(*) FROM events WHERE type = 'access.paired' AND correlation_id = $1`, first.MessageID))
	require.Equal(t, 1, w.count(`SELECT count(*) FROM access_rules`))
}

// An account may be called anything, a pattern too: nobody else is let in.
func TestPairingLetsInOne(t *testing.T) {
	t.Parallel()
	w := newGuarded(t, omni.AccessPairing)
	w.check(w.asked(w.inbound("c1", "*", "m1", "hello")))
	require.Equal(t, omni.PairingDecided, w.verdict(omni.PairingVerdict{Code: plainCode(w.pairings()[0]), Approve: true}).State)
	require.Equal(t, omni.AccessAllow, w.check(w.asked(w.inbound("c1", "*", "m2", "hello"))).Decision)
	require.Equal(t, omni.AccessPair, w.check(w.asked(w.inbound("c2", "eva", "m3", "hello"))).Decision)
}

// Two messages at once, in two processes: one code, said once.
func TestOneCodeForTwoMessagesAtOnce(t *testing.T) {
	t.Parallel()
	w := newGuarded(t, omni.AccessPairing)
	other := w.again(t)
	for i := range 5 {
		user := fmt.Sprint("user", i)
		var wg sync.WaitGroup
		for j := range 6 {
			e := w.asked(w.inbound("c"+user, user, fmt.Sprint(user, "-", j), "hello"))
			by := []*world{w, other}[j%2]
			wg.Go(func() { by.check(e) })
		}
		wg.Wait()
		require.Equal(t, 1, w.count(`SELECT count(*) FROM access_pairings WHERE identity_id = $1`, omni.IdentityID(w.instance, user)))
		require.Equal(t, 1, w.count(`SELECT count(*) FROM messages WHERE direction = 'outbound' AND chat_id = $1`, omni.ChatID(w.instance, "c"+user)))
		_, err := w.Pool().Exec(t.Context(), `UPDATE access_pairings SET status = 'approved'`)
		require.NoError(t, err)
	}
}

func TestThreePairingsAreOpenAtMost(t *testing.T) {
	t.Parallel()
	w := newGuarded(t, omni.AccessPairing)
	other := w.again(t)
	var wg sync.WaitGroup
	for i := range 8 {
		e := w.asked(w.inbound(fmt.Sprint("c", i), fmt.Sprint("user", i), fmt.Sprint("m", i), "hello"))
		by := []*world{w, other}[i%2]
		wg.Go(func() { by.check(e) })
	}
	wg.Wait()
	require.Equal(t, 3, w.count(`SELECT count(*) FROM access_pairings`))
	require.Equal(t, 3, w.count(`SELECT count(*) FROM messages WHERE direction = 'outbound'`))
	require.Equal(t, 5, w.count(`SELECT count(*) FROM messages WHERE access_decision = 'silent' AND access_reason = 'three pairings are open already'`))

	late := func(n int) *omni.AccessAnswer {
		return w.check(w.asked(w.inbound("late", "late", fmt.Sprint("l", n), "hello")))
	}
	require.Equal(t, omni.AccessSilent, late(1).Decision)
	open := w.pairings()[0]
	require.Equal(t, omni.PairingDecided, w.verdict(omni.PairingVerdict{ID: uuid.NullUUID{UUID: open.ID, Valid: true}}).State)
	require.True(t, late(2).Said.Valid, "one was rejected, so there is room")
	again := w.check(w.asked(w.inbound("c", open.PlatformUserID, "again", "hello")))
	require.Equal(t, omni.AccessSilent, again.Decision)
	require.Equal(t, "their pairing was rejected", again.Reason)

	_, err := w.Pool().Exec(t.Context(), `UPDATE access_pairings SET expires_at = clock_timestamp() WHERE status = 'open'`)
	require.NoError(t, err)
	for _, p := range w.pairings() {
		require.NotEqual(t, omni.PairingOpen, p.Status)
	}
	require.Equal(t, omni.PairingUnknown, w.verdict(omni.PairingVerdict{Code: plainCode(w.pairings()[0]), Approve: true}).State)
	require.True(t, late(3).Said.Valid, "another code after the hour of the first")
	elsewhere := w.again(t)
	elsewhere.instance = uuid.New()
	elsewhere.guard(omni.AccessPairing)
	require.True(t, elsewhere.check(elsewhere.asked(elsewhere.inbound("x", "x", "x", "hello"))).Said.Valid, "each instance has its own three")
}

// Groups are given no codes: everybody there would read them.
func TestGroupsAreGivenNoCodes(t *testing.T) {
	t.Parallel()
	w := newGuarded(t, omni.AccessPairing)
	e := w.inbound("g1", "ana", "m1", "hello")
	e.Event.Chat.Type = message.ChatGroup
	a := w.check(w.asked(e))
	require.Equal(t, omni.AccessSilent, a.Decision)
	require.False(t, a.Said.Valid)
	require.Empty(t, w.pairings())
}

// Codes cannot be found by trying: ten wrong ones, then nobody looks for ten
// minutes, not even at a right one. Another caller is another matter.
func TestCodesCannotBeGuessed(t *testing.T) {
	t.Parallel()
	w := newGuarded(t, omni.AccessPairing)
	w.check(w.asked(w.inbound("c1", "ana", "m1", "hello")))
	right, guesser := plainCode(w.pairings()[0]), uuid.New()
	var mu sync.Mutex
	var wg sync.WaitGroup
	states := map[string]int{}
	for range 30 {
		wg.Go(func() {
			r := w.verdict(omni.PairingVerdict{Code: "WRNGC2DE", Approve: true, Guesser: guesser})
			mu.Lock()
			defer mu.Unlock()
			states[r.State]++
		})
	}
	wg.Wait()
	require.Equal(t, map[string]int{omni.PairingUnknown: 10, omni.PairingLimited: 20}, states)
	require.Equal(t, omni.PairingLimited, w.verdict(omni.PairingVerdict{Code: right, Approve: true, Guesser: guesser}).State)
	require.Equal(t, omni.PairingUnknown, w.verdict(omni.PairingVerdict{Code: right, Approve: true, Guesser: uuid.New(),
		Within: []uuid.UUID{uuid.New()}}).State, "of an instance that the caller does not see")
	require.Equal(t, omni.PairingUnknown, w.verdict(omni.PairingVerdict{Code: right, Approve: true, Guesser: uuid.New(),
		InstanceID: uuid.NullUUID{UUID: uuid.New(), Valid: true}}).State)
	another, err := w.DecidePairing(t.Context(), omni.PairingVerdict{TenantID: "another", Code: right, Approve: true, Guesser: uuid.New()})
	require.NoError(t, err)
	require.Equal(t, omni.PairingUnknown, another.State)
	honest := uuid.New()
	require.Equal(t, omni.PairingDecided, w.verdict(omni.PairingVerdict{Code: right, Approve: true, Guesser: honest}).State)
	require.Equal(t, 10, w.count(`SELECT tokens::int FROM access_buckets WHERE identity_id = $1`, honest), "a right one costs nothing")
}

func TestForgetAccess(t *testing.T) {
	t.Parallel()
	w := newGuarded(t, omni.AccessPairing)
	w.check(w.asked(w.inbound("c1", "ana", "m1", "hello")))
	kept := w.rule(omni.AccessRule{Type: omni.RuleAllow, Priority: 2, RateLimit: &omni.RateLimit{Count: 1, PerSeconds: 86_400}})
	w.check(w.asked(w.inbound("c2", "eva", "m2", "hello")))
	require.NoError(t, w.ForgetAccess(t.Context()))
	require.Equal(t, 1, w.count(`SELECT count(*) FROM access_buckets`))
	require.Equal(t, 1, w.count(`SELECT count(*) FROM access_pairings WHERE status = 'open'`))
	_, err := w.Pool().Exec(t.Context(), `UPDATE access_buckets SET filled_at = filled_at - interval '2 hours'`)
	require.NoError(t, err)
	_, err = w.Pool().Exec(t.Context(), `UPDATE access_pairings SET expires_at = clock_timestamp()`)
	require.NoError(t, err)
	require.NoError(t, w.ForgetAccess(t.Context()))
	require.Equal(t, 1, w.count(`SELECT count(*) FROM access_buckets`), "the day of rule %s is not over", kept.ID)
	require.Equal(t, 0, w.count(`SELECT count(*) FROM access_pairings WHERE status = 'open'`))
	_, err = w.Pool().Exec(t.Context(), `UPDATE access_buckets SET filled_at = filled_at - interval '2 days'`)
	require.NoError(t, err)
	require.NoError(t, w.ForgetAccess(t.Context()))
	require.Equal(t, 0, w.count(`SELECT count(*) FROM access_buckets`))
}
