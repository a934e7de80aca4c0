package store_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/omnihub/omni/internal/omni"
)

// graphModel is who is who, as simply as it can be said.
type graphModel struct {
	of      map[uuid.UUID]uuid.UUID // account to person
	people  map[uuid.UUID]bool
	changes []modelChange
}

type modelChange struct {
	id       uuid.UUID
	moved    []uuid.UUID
	from, to uuid.UUID
	absorbed bool // nothing was left of from
	created  bool // to was made
	undone   bool
}

func (m *graphModel) accountsOf(person uuid.UUID) (ids []uuid.UUID) {
	for id, p := range m.of {
		if p == person {
			ids = append(ids, id)
		}
	}
	return ids
}

// place is every change: accounts become another person's.
func (m *graphModel) place(c modelChange) {
	for _, id := range c.moved {
		m.of[id] = c.to
	}
	m.people[c.to] = true
	if len(m.accountsOf(c.from)) == 0 {
		delete(m.people, c.from)
		c.absorbed = true
	}
	m.changes = append(m.changes, c)
}

// takeBack undoes a change, where everything it needs is still there.
func (m *graphModel) takeBack(n int) omni.GraphState {
	c := &m.changes[n]
	if c.undone {
		return omni.GraphUndone
	}
	if !m.people[c.to] || m.people[c.from] == c.absorbed ||
		slices.ContainsFunc(c.moved, func(id uuid.UUID) bool { return m.of[id] != c.to }) {
		return omni.GraphSuperseded
	}
	m.people[c.from] = true
	for _, id := range c.moved {
		m.of[id] = c.from
	}
	if c.created && len(m.accountsOf(c.to)) == 0 {
		delete(m.people, c.to)
	}
	c.undone = true
	return omni.GraphDone
}

// everybody lists the persons in an order that does not change.
func (m *graphModel) everybody() (ids []uuid.UUID) {
	for id := range m.people {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b uuid.UUID) int { return slices.Compare(a[:], b[:]) })
	return ids
}

// graphRun drives the store and the model through the same changes.
type graphRun struct {
	*world
	*graphModel
	rt       *rapid.T
	instance uuid.UUID
	accounts []uuid.UUID
}

func TestAnyChangesOfTheGraph(t *testing.T) {
	t.Parallel()
	// Whether messages move with the change or in steps behind it.
	for name, w := range map[string]*world{"at once": newWorld(t), "in steps": newWorldWith(t, "omni.move_at_once=0")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			anyChanges(t, w)
		})
	}
}

func anyChanges(t *testing.T, w *world) {
	rapid.Check(t, func(rt *rapid.T) {
		r := &graphRun{world: w, rt: rt, instance: uuid.New(),
			graphModel: &graphModel{of: map[uuid.UUID]uuid.UUID{}, people: map[uuid.UUID]bool{}}}
		for n := range rapid.IntRange(2, 5).Draw(rt, "accounts") {
			id := omni.IdentityID(r.instance, fmt.Sprint("u", n))
			r.accounts = append(r.accounts, id)
			r.of[id] = r.write(n)
			r.people[r.of[id]] = true
		}
		for range rapid.IntRange(1, 12).Draw(rt, "changes") {
			before := r.stored()
			n := len(r.changes)
			r.step()
			if len(r.changes) > n && rapid.Bool().Draw(rt, "at once undone") {
				r.undoOne(n, omni.GraphDone)
				require.Equal(rt, before, r.stored(), "undone at once, everything is as it was")
			}
			r.compare()
		}
	})
}

// write brings a message of an account.
func (r *graphRun) write(n int) uuid.UUID {
	e := r.shown(r.instance, fmt.Sprint("u", n), uuid.NewString(), "", "")
	require.NoError(r.rt, r.Record(r.t.Context(), []omni.Envelope{e}, 0))
	var p uuid.UUID
	require.NoError(r.rt, r.Pool().QueryRow(r.t.Context(), `SELECT person_id FROM messages WHERE id = $1`, e.MessageID).Scan(&p))
	return p
}

func (r *graphRun) step() {
	account := rapid.SampledFrom(r.accounts).Draw(r.rt, "account")
	person := rapid.SampledFrom(r.everybody()).Draw(r.rt, "person")
	switch rapid.SampledFrom([]string{"merge", "link", "unlink", "undo", "write"}).Draw(r.rt, "change") {
	case "merge":
		r.mergeInto(r.of[account], person)
	case "link":
		r.linkTo(account, person)
	case "unlink":
		r.unlinkOne(account)
	case "undo":
		if len(r.changes) > 0 {
			n := rapid.IntRange(0, len(r.changes)-1).Draw(r.rt, "which")
			r.undoOne(n, r.takeBack(n))
			return
		}
	default:
		n := slices.Index(r.accounts, account)
		require.Equal(r.rt, r.of[account], r.write(n))
	}
}

func (r *graphRun) mergeInto(source, target uuid.UUID) {
	a, err := r.MergePersons(r.t.Context(), call, source, target)
	require.NoError(r.rt, err)
	if source == target {
		require.Equal(r.rt, omni.GraphSame, a.State)
		return
	}
	require.Equal(r.rt, omni.GraphDone, a.State)
	r.place(modelChange{id: a.ID, moved: r.accountsOf(source), from: source, to: target})
}

func (r *graphRun) linkTo(account, person uuid.UUID) {
	a, err := r.LinkIdentity(r.t.Context(), call, account, person)
	require.NoError(r.rt, err)
	if r.of[account] == person {
		require.Equal(r.rt, omni.GraphAlready, a.State)
		return
	}
	require.Equal(r.rt, omni.GraphDone, a.State)
	r.place(modelChange{id: a.ID, moved: []uuid.UUID{account}, from: r.of[account], to: person})
}

func (r *graphRun) unlinkOne(account uuid.UUID) {
	a, err := r.UnlinkIdentity(r.t.Context(), call, account)
	require.NoError(r.rt, err)
	if len(r.accountsOf(r.of[account])) == 1 {
		require.Equal(r.rt, omni.GraphAlone, a.State)
		return
	}
	require.Equal(r.rt, omni.GraphDone, a.State)
	var own uuid.UUID
	require.NoError(r.rt, r.Pool().QueryRow(r.t.Context(), `SELECT person_id FROM identities WHERE id = $1`, account).Scan(&own))
	require.False(r.rt, r.people[own], "a new person")
	r.place(modelChange{id: a.ID, moved: []uuid.UUID{account}, from: r.of[account], to: own, created: true})
}

func (r *graphRun) undoOne(n int, want omni.GraphState) {
	if want == omni.GraphDone && !r.changes[n].undone {
		require.Equal(r.rt, omni.GraphDone, r.takeBack(n))
	}
	a, err := r.UndoMerge(r.t.Context(), call, r.changes[n].id)
	require.NoError(r.rt, err)
	require.Equal(r.rt, want, a.State)
	if want == omni.GraphSuperseded {
		require.True(r.rt, slices.ContainsFunc(r.changes[n+1:], func(c modelChange) bool { return c.id == a.ID && !c.undone }),
			"names a later change that stands")
	}
}

// stored is who is who in the database, persons' fields included.
func (r *graphRun) stored() (rows []string) {
	got, err := r.Pool().Query(r.t.Context(), `
		SELECT 'account ' || i.id || ' ' || i.person_id FROM identities i WHERE i.instance_id = $1
		UNION ALL SELECT 'message ' || m.id || ' ' || m.person_id FROM messages m WHERE m.instance_id = $1
		UNION ALL SELECT 'chat ' || c.id || ' ' || c.person_id FROM chats c WHERE c.instance_id = $1
		UNION ALL SELECT 'person ' || (to_jsonb(p) - 'updated_at')::text FROM persons p
			WHERE p.id IN (SELECT i.person_id FROM identities i WHERE i.instance_id = $1) ORDER BY 1`, r.instance)
	require.NoError(r.rt, err)
	defer got.Close()
	for got.Next() {
		var row string
		require.NoError(r.rt, got.Scan(&row))
		rows = append(rows, row)
	}
	require.NoError(r.rt, got.Err())
	return rows
}

// compare holds the database against the model.
func (r *graphRun) compare() {
	for _, id := range r.accounts {
		var person uuid.UUID
		require.NoError(r.rt, r.Pool().QueryRow(r.t.Context(), `SELECT person_id FROM identities WHERE id = $1`, id).Scan(&person))
		require.Equal(r.rt, r.of[id], person)
		require.Zero(r.rt, r.tally(`SELECT count(*) FROM messages WHERE identity_id = $1 AND person_id <> $2`, id, person))
		require.Zero(r.rt, r.tally(`SELECT count(*) FROM chats WHERE identity_id = $1 AND person_id <> $2`, id, person))
	}
	require.Equal(r.rt, len(r.people), r.tally(`SELECT count(*) FROM persons WHERE id = ANY ($1)`, r.everybody()))
	gone := []uuid.UUID{}
	for _, c := range r.changes {
		for _, p := range []uuid.UUID{c.from, c.to} {
			if !r.people[p] {
				gone = append(gone, p)
			}
		}
	}
	require.Zero(r.rt, r.tally(`SELECT count(*) FROM persons WHERE id = ANY ($1)`, gone))
}
