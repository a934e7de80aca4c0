package store_test

import (
	"context"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/internal/omni"
)

// call is who changes the graph in these tests.
var call = omni.GraphCall{TenantID: omni.DefaultTenant, By: "desk", Reason: "they told us"}

func (w *world) merge(source, target uuid.UUID) uuid.UUID {
	w.t.Helper()
	a, err := w.MergePersons(w.t.Context(), call, source, target)
	require.NoError(w.t, err)
	require.Equal(w.t, omni.GraphDone, a.State)
	return a.ID
}

func (w *world) undo(id uuid.UUID, want omni.GraphState) uuid.UUID {
	w.t.Helper()
	a, err := w.UndoMerge(w.t.Context(), call, id)
	require.NoError(w.t, err)
	require.Equal(w.t, want, a.State)
	return a.ID
}

func (w *world) unlink(identity uuid.UUID) uuid.UUID {
	w.t.Helper()
	a, err := w.UnlinkIdentity(w.t.Context(), call, identity)
	require.NoError(w.t, err)
	require.Equal(w.t, omni.GraphDone, a.State)
	return a.ID
}

func (w *world) link(identity, person uuid.UUID) uuid.UUID {
	w.t.Helper()
	a, err := w.LinkIdentity(w.t.Context(), call, identity, person)
	require.NoError(w.t, err)
	require.Equal(w.t, omni.GraphDone, a.State)
	return a.ID
}

// snapshot is everything that a change of the graph touches, as text; the
// times at which rows changed apart.
func (w *world) snapshot() (rows []string) {
	w.t.Helper()
	for _, q := range []string{
		`SELECT (to_jsonb(p) - 'updated_at')::text FROM persons p ORDER BY id`,
		`SELECT (to_jsonb(i) - 'pinned')::text FROM identities i ORDER BY id`,
		`SELECT jsonb_build_array(id, person_id, identity_id, status)::text FROM messages ORDER BY id`,
		`SELECT jsonb_build_array(id, person_id, identity_id)::text FROM chats ORDER BY id`,
		`SELECT jsonb_build_array(id, session_key, state)::text FROM turns ORDER BY id`,
		`SELECT to_jsonb(s)::text FROM person_suggestions s ORDER BY id`,
	} {
		got, err := w.Pool().Query(w.t.Context(), q)
		require.NoError(w.t, err)
		for got.Next() {
			var row string
			require.NoError(w.t, got.Scan(&row))
			rows = append(rows, row)
		}
		require.NoError(w.t, got.Err())
	}
	return rows
}

func TestMergeMovesEverythingAndUndoRestoresIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.exchange("c1", "m1") // ana, answered
	lone := w.receive("c2", "eve", "m2", "hi")
	w.join(lone, 0)
	ana, eve := w.personOf(omni.IdentityID(w.instance, "ana")), w.personOf(omni.IdentityID(w.instance, "eve"))
	w.exec(`UPDATE persons SET phone = '+49151', display_name = '' WHERE id = $1`, eve)
	before := w.snapshot()
	sent := w.tally(`SELECT count(*) FROM messages WHERE person_id = $1 AND direction = 'outbound'`, ana)
	require.Equal(t, 1, sent, "what was sent to her is hers, too")

	id := w.merge(ana, eve)
	require.Equal(t, eve, w.personOf(omni.IdentityID(w.instance, "ana")))
	require.Zero(t, w.tally(`SELECT count(*) FROM persons WHERE id = $1`, ana), "the target is kept")
	require.Zero(t, w.tally(`SELECT (SELECT count(*) FROM messages WHERE person_id = $1) + (SELECT count(*) FROM chats WHERE person_id = $1)`, ana))
	require.Equal(t, 1, w.tally(`SELECT count(*) FROM persons WHERE id = $1 AND display_name = 'ana' AND phone = '+49151'`, eve), "it has no name of its own")
	m := w.merges()
	require.Len(t, m, 1)
	require.Equal(t, omni.Merge{ID: id, Kind: "merge", PersonID: eve, SourcePersonID: ana, TargetPersonID: eve,
		IdentityIDs: []uuid.UUID{omni.IdentityID(w.instance, "ana")}, By: "desk", Reason: "they told us", Evidence: []omni.MergeEvidence{},
		Confidence: 1, CreatedAt: m[0].CreatedAt}, m[0])

	// What comes meanwhile goes with its account.
	w.exec(`UPDATE persons SET email = 'eve@example.com' WHERE id = $1`, eve)
	since := w.receive("c1", "ana", "m3", "again")
	require.Equal(t, 1, w.tally(`SELECT count(*) FROM messages WHERE id = $1 AND person_id = $2`, since.MessageID, eve))
	w.undo(id, omni.GraphDone)
	require.Equal(t, 1, w.tally(`SELECT count(*) FROM messages WHERE id = $1 AND person_id = $2`, since.MessageID, ana))
	require.Equal(t, 1, w.tally(`SELECT count(*) FROM persons WHERE id = $1 AND display_name = '' AND email = 'eve@example.com'`, eve),
		"what somebody said of her meanwhile stays")
	w.exec(`DELETE FROM messages WHERE id = $1`, since.MessageID)
	w.exec(`UPDATE persons SET email = '' WHERE id = $1`, eve)
	w.exec(`UPDATE identities i SET last_seen_at = last_seen_at`)
	require.Equal(t, before, w.snapshot())
	require.Equal(t, omni.GraphUndone, func() omni.GraphState {
		a, err := w.UndoMerge(t.Context(), call, id)
		require.NoError(t, err)
		return a.State
	}())
	require.Equal(t, 1, w.tally(`SELECT count(*) FROM events WHERE type = 'identity.merged' AND person_id = $1 AND data ->> 'mergeId' = $2`, eve, id.String()))
	require.Equal(t, 1, w.tally(`SELECT count(*) FROM events WHERE type = 'identity.merge_undone' AND data ->> 'mergeId' = $1`, id.String()))
}

func TestUnlinkAndLinkMoveOneAccount(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := uuid.New(), uuid.New()
	ana := w.show(a, "ana", "+5511987654321", "")
	w.show(b, "bob", "+5511987654321", "")
	bob := omni.IdentityID(b, "bob")
	before := w.snapshot()
	apart := w.unlink(bob)
	own := w.personOf(bob)
	require.NotEqual(t, ana, own)
	require.Equal(t, 1, w.tally(`SELECT count(*) FROM messages WHERE person_id = $1`, own))
	require.Equal(t, own, w.show(b, "bob", "+5511987654321", ""), "and stays there")
	a1, err := w.UnlinkIdentity(t.Context(), call, bob)
	require.NoError(t, err)
	require.Equal(t, omni.GraphAlone, a1.State)

	back := w.link(bob, ana)
	require.Equal(t, ana, w.personOf(bob))
	require.Equal(t, 1, w.tally(`SELECT count(*) FROM persons`))
	a2, err := w.LinkIdentity(t.Context(), call, bob, ana)
	require.NoError(t, err)
	require.Equal(t, omni.GraphAlready, a2.State)

	require.Equal(t, back, w.undo(apart, omni.GraphSuperseded), "says what to undo first")
	w.undo(back, omni.GraphDone)
	require.Equal(t, own, w.personOf(bob))
	w.undo(apart, omni.GraphDone)
	w.exec(`DELETE FROM messages WHERE id IN (SELECT id FROM messages WHERE identity_id = $1 ORDER BY created_at DESC LIMIT 1)`, bob)
	require.Equal(t, before, w.snapshot())
	for _, typ := range []string{"identity.linked", "identity.unlinked"} {
		require.NotZero(t, w.tally(`SELECT count(*) FROM events WHERE type = $1 AND data ->> 'identityId' = $2`, typ, bob.String()), typ)
	}
}

// A chain is undone from its end; another order is refused, and says why.
func TestChainOfMerges(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	in := uuid.New()
	a, b, c := w.show(in, "a", "", ""), w.show(in, "b", "", ""), w.show(in, "c", "", "")
	before := w.snapshot()
	first := w.merge(a, b)
	second := w.merge(b, c)
	require.Equal(t, 1, w.tally(`SELECT count(*) FROM persons`))
	chained := w.snapshot()
	require.Equal(t, second, w.undo(first, omni.GraphSuperseded))
	require.Equal(t, chained, w.snapshot(), "nothing changed")
	w.undo(second, omni.GraphDone)
	w.undo(first, omni.GraphDone)
	require.Equal(t, before, w.snapshot())
}

// Two that became a third one come apart in any order.
func TestIndependentMergesUndoInAnyOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	in := uuid.New()
	a, b, c := w.show(in, "a", "", ""), w.show(in, "b", "", ""), w.show(in, "c", "", "")
	before := w.snapshot()
	first, second := w.merge(a, c), w.merge(b, c)
	w.undo(first, omni.GraphDone)
	require.Equal(t, a, w.personOf(omni.IdentityID(in, "a")))
	require.Equal(t, c, w.personOf(omni.IdentityID(in, "b")))
	w.undo(second, omni.GraphDone)
	require.Equal(t, before, w.snapshot())
}

func TestGraphIsATenantsAndAKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	x, y := uuid.New(), uuid.New()
	a, b := w.show(x, "a", "", ""), w.show(y, "b", "", "")
	e := w.shown(uuid.New(), "c", "m", "", "")
	e.TenantID = "other"
	w.record(e)
	c := w.personOf(omni.IdentityID(e.InstanceID, "c"))
	before := w.snapshot()
	onlyX := call
	onlyX.Within = []uuid.UUID{x}
	state := func(a omni.GraphAnswer, err error) omni.GraphState {
		require.NoError(t, err)
		return a.State
	}
	ctx := t.Context()
	require.Equal(t, omni.GraphNotFound, state(w.MergePersons(ctx, call, a, c)))
	require.Equal(t, omni.GraphNotFound, state(w.MergePersons(ctx, call, c, a)))
	require.Equal(t, omni.GraphNotFound, state(w.MergePersons(ctx, call, a, uuid.New())))
	require.Equal(t, omni.GraphNotFound, state(w.MergePersons(ctx, onlyX, a, b)))
	require.Equal(t, omni.GraphSame, state(w.MergePersons(ctx, call, a, a)))
	require.Equal(t, omni.GraphNotFound, state(w.LinkIdentity(ctx, call, omni.IdentityID(x, "a"), c)))
	require.Equal(t, omni.GraphNotFound, state(w.LinkIdentity(ctx, call, omni.IdentityID(e.InstanceID, "c"), a)))
	require.Equal(t, omni.GraphNotFound, state(w.LinkIdentity(ctx, onlyX, omni.IdentityID(y, "b"), a)))
	require.Equal(t, omni.GraphNotFound, state(w.UnlinkIdentity(ctx, call, omni.IdentityID(e.InstanceID, "c"))))
	require.Equal(t, omni.GraphNotFound, state(w.UndoMerge(ctx, call, uuid.New())))
	require.Equal(t, omni.GraphNotFound, state(w.ConfirmSuggestion(ctx, call, uuid.New())))
	require.Equal(t, omni.GraphNotFound, state(w.DismissSuggestion(ctx, call, uuid.New())))
	require.Equal(t, before, w.snapshot())

	id := w.merge(b, a)
	require.Equal(t, omni.GraphHidden, state(w.MergePersons(ctx, onlyX, a, a)), "half of her is another instance's")
	require.Equal(t, omni.GraphNotFound, state(w.UndoMerge(ctx, onlyX, id)), "the account that moved is")
	foreign := call
	foreign.TenantID = "other"
	require.Equal(t, omni.GraphNotFound, state(w.UndoMerge(ctx, foreign, id)))
	seen, err := w.ListMerges(ctx, "other", omni.MergeFilter{}, omni.Page{Limit: 10})
	require.NoError(t, err)
	require.Empty(t, seen)
	seen, err = w.ListMerges(ctx, omni.DefaultTenant, omni.MergeFilter{Within: onlyX.Within}, omni.Page{Limit: 10})
	require.NoError(t, err)
	require.Empty(t, seen)
}

// Rules and routes that name a person move with it, and only they come back.
func TestRulesAndRoutesMoveAlong(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	in := uuid.New()
	ana, eve := w.show(in, "ana", "", ""), w.show(in, "eve", "", "")
	rule := func(person uuid.UUID) uuid.UUID {
		id := uuid.New()
		w.exec(`INSERT INTO access_rules (id, tenant_id, type, person_id, match_key) VALUES ($1, 'default', 'deny', $2, '')`, id, person)
		return id
	}
	hers, others := rule(ana), rule(eve)
	agent, route := uuid.New(), uuid.New()
	w.exec(`INSERT INTO agents (id, tenant_id, name, config) VALUES ($1, 'default', 'x', '{}')`, agent)
	w.exec(`INSERT INTO agent_routes (id, tenant_id, instance_id, agent_id, person_id) VALUES ($1, 'default', $2, $3, $4)`, route, in, agent, ana)
	whose := func(table string, id uuid.UUID) (person uuid.UUID) {
		require.NoError(t, w.Pool().QueryRow(t.Context(), `SELECT person_id FROM `+table+` WHERE id = $1`, id).Scan(&person))
		return person
	}
	merged := w.merge(ana, eve)
	require.Equal(t, eve, whose("access_rules", hers))
	require.Equal(t, eve, whose("agent_routes", route))
	instances, err := w.RoutedInstances(t.Context(), eve)
	require.NoError(t, err)
	require.Equal(t, []uuid.UUID{in}, instances)
	since := rule(eve)
	w.undo(merged, omni.GraphDone)
	require.Equal(t, ana, whose("access_rules", hers))
	require.Equal(t, ana, whose("agent_routes", route))
	require.Equal(t, eve, whose("access_rules", others))
	require.Equal(t, eve, whose("access_rules", since), "it was made for her")

	// An account alone takes no rule with it; the last one does.
	w.link(omni.IdentityID(in, "eve"), ana)
	apart := w.unlink(omni.IdentityID(in, "eve"))
	require.Equal(t, ana, whose("access_rules", others))
	own := rule(w.personOf(omni.IdentityID(in, "eve")))
	w.undo(apart, omni.GraphDone)
	require.Equal(t, ana, whose("access_rules", own), "the person that it was about is gone")
}

// Live readers know a person under every id that the log has for them.
func TestThePersonsNamesInTheLog(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	in := uuid.New()
	a, b, c := w.show(in, "a", "", ""), w.show(in, "b", "", ""), w.show(in, "c", "", "")
	aliases := func(id uuid.UUID) []uuid.UUID {
		ids, err := w.PersonAliases(t.Context(), id)
		require.NoError(t, err)
		return ids
	}
	first, second := w.merge(a, b), w.merge(b, c)
	require.ElementsMatch(t, []uuid.UUID{a, b, c}, aliases(c))
	require.ElementsMatch(t, []uuid.UUID{a, b, c}, aliases(a), "also asked by the id of one that became another")
	f := omni.EventFilter{PersonID: c, Aliases: aliases(c)}
	require.True(t, f.Matches(&omni.Event{PersonID: uuid.NullUUID{UUID: a, Valid: true}}))
	require.False(t, f.Matches(&omni.Event{PersonID: uuid.NullUUID{UUID: uuid.New(), Valid: true}}))
	require.False(t, f.Matches(&omni.Event{}))
	w.undo(second, omni.GraphDone)
	w.undo(first, omni.GraphDone)
	require.Equal(t, []uuid.UUID{c}, aliases(c))
	require.Equal(t, []uuid.UUID{a}, aliases(a))
}

// Evidence moves routes as people do, and says on which instances: those are
// kept in memory.
func TestRoutesThatEvidenceMovesAreTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var told []uuid.UUID
	w.OnRerouted(func(_ context.Context, instance uuid.UUID) { told = append(told, instance) })
	in, elsewhere := uuid.New(), uuid.New()
	ana := w.show(in, "ana", "", "")
	agent, route := uuid.New(), uuid.New()
	w.exec(`INSERT INTO agents (id, tenant_id, name, config) VALUES ($1, 'default', 'x', '{}')`, agent)
	w.exec(`INSERT INTO agent_routes (id, tenant_id, instance_id, agent_id, person_id) VALUES ($1, 'default', $2, $3, $4)`, route, elsewhere, agent, ana)
	eve := w.show(in, "eve", "+5511987654321", "")
	require.Empty(t, told, "nothing has moved")
	require.Equal(t, eve, w.show(in, "ana", "+5511987654321", ""), "she has shown the same number now")
	require.Equal(t, []uuid.UUID{elsewhere}, told)
	require.Equal(t, 1, w.count(`SELECT count(*) FROM agent_routes WHERE id = $1 AND person_id = $2`, route, eve))
	w.show(in, "ana", "+5511987654321", "")
	require.Len(t, told, 1)
}
