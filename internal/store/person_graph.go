package store

import (
	"context"
	"encoding/json"
	"errors"
	"math"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/omnihub/omni/internal/omni"
)

// MergePersons makes everything of the source the target's.
func (s *Store) MergePersons(ctx context.Context, c omni.GraphCall, source, target uuid.UUID) (omni.GraphAnswer, error) {
	return s.changeGraph(ctx, c, "merging person "+source.String(),
		`SELECT state, id FROM persons_merge($1, $2, $3, $4, $5, $6, '[]', 1, NULL)`, c.TenantID, c.Within, source, target, c.By, c.Reason)
}

// LinkIdentity makes an account a person's.
func (s *Store) LinkIdentity(ctx context.Context, c omni.GraphCall, identity, person uuid.UUID) (omni.GraphAnswer, error) {
	return s.changeGraph(ctx, c, "linking account "+identity.String(),
		`SELECT state, id FROM identity_link($1, $2, $3, $4, $5, $6)`, c.TenantID, c.Within, identity, person, c.By, c.Reason)
}

// UnlinkIdentity gives an account a person of its own.
func (s *Store) UnlinkIdentity(ctx context.Context, c omni.GraphCall, identity uuid.UUID) (omni.GraphAnswer, error) {
	return s.changeGraph(ctx, c, "unlinking account "+identity.String(),
		`SELECT state, id FROM identity_unlink($1, $2, $3, $4, $5)`, c.TenantID, c.Within, identity, c.By, c.Reason)
}

// UndoMerge takes a change back: the accounts return, with all that came since.
func (s *Store) UndoMerge(ctx context.Context, c omni.GraphCall, id uuid.UUID) (omni.GraphAnswer, error) {
	return s.changeGraph(ctx, c, "undoing merge "+id.String(),
		`SELECT state, id FROM merge_undo($1, $2, $3, $4)`, c.TenantID, c.Within, id, c.By)
}

// ConfirmSuggestion merges the two persons, keeping the elder.
func (s *Store) ConfirmSuggestion(ctx context.Context, c omni.GraphCall, id uuid.UUID) (omni.GraphAnswer, error) {
	return s.changeGraph(ctx, c, "confirming suggestion "+id.String(),
		`SELECT state, id FROM suggestion_confirm($1, $2, $3, $4, $5)`, c.TenantID, c.Within, id, c.By, c.Reason)
}

// DismissSuggestion says that the two persons are not one: it is not suggested
// again.
func (s *Store) DismissSuggestion(ctx context.Context, c omni.GraphCall, id uuid.UUID) (omni.GraphAnswer, error) {
	return s.changeGraph(ctx, c, "dismissing suggestion "+id.String(),
		`SELECT state, id FROM suggestion_dismiss($1, $2, $3, $4)`, c.TenantID, c.Within, id, c.By)
}

// changeGraph runs one change: one transaction, begun again where others hold
// what it needs. omni.ErrGraphBusy where they hold it for too long. Very many
// messages follow in steps after it; once it is made it is no failure that they
// have not yet.
func (s *Store) changeGraph(ctx context.Context, c omni.GraphCall, doing, call string, args ...any) (omni.GraphAnswer, error) {
	var a omni.GraphAnswer
	err := givingWay(ctx, func() error {
		if err := s.moveMessages(ctx, &c.TenantID, math.MaxInt); err != nil { // of a change before
			return err
		}
		var id uuid.NullUUID
		err := s.pool.QueryRow(ctx, call, args...).Scan(&a.State, &id)
		a.ID = id.UUID
		return err
	})
	var refused *pgconn.PgError
	if errors.As(err, &refused) && (refused.Code == "55P03" || refused.Code == "40P01") {
		err = errors.Join(omni.ErrGraphBusy, err)
	}
	if err != nil {
		return a, wrap(err, doing)
	}
	s.Nudge()
	_ = givingWay(ctx, func() error { return s.moveMessages(ctx, &c.TenantID, math.MaxInt) }) // else the janitor does
	return a, nil
}

// movedAtOnce is how many messages one step of moving them looks at.
const movedAtOnce = 1000

// MoveMessages goes on moving messages that changes of the graph have left
// behind, of all tenants, about as many as limit.
func (s *Store) MoveMessages(ctx context.Context, limit int) error {
	return wrap(givingWay(ctx, func() error { return s.moveMessages(ctx, nil, limit) }), "moving messages to their persons")
}

// moveMessages moves what a tenant (nil: any) has to move, but for the rest
// beyond limit.
func (s *Store) moveMessages(ctx context.Context, tenant *string, limit int) error {
	for more := true; more && limit > 0; limit -= movedAtOnce {
		if err := s.pool.QueryRow(ctx, `SELECT messages_move($1, $2)`, tenant, movedAtOnce).Scan(&more); err != nil {
			return err
		}
	}
	return nil
}

// personNames are the ids under which messages of a person are found: see
// person_names.
func (s *Store) personNames(ctx context.Context, person uuid.UUID) (names []uuid.UUID, err error) {
	err = s.pool.QueryRow(ctx, `SELECT person_names($1)`, person).Scan(&names)
	return names, wrap(err, "looking for messages of person "+person.String())
}

// FindSuggestions looks for persons that may be one among accounts first seen
// since the last time, at most limit of them, and returns how many pairs it
// suggested.
func (s *Store) FindSuggestions(ctx context.Context, limit int) (int, error) {
	var n int
	err := givingWay(ctx, func() error {
		return s.pool.QueryRow(ctx, `SELECT suggestions_find('2 minutes', $1)`, limit).Scan(&n)
	})
	if err != nil {
		return 0, wrap(err, "looking for persons that may be one")
	}
	if n > 0 {
		s.Nudge()
	}
	return n, nil
}

// PersonAliases are the ids under which the log knows a person: their own, and
// those of persons that became them. Of a person that became another: that one's.
func (s *Store) PersonAliases(ctx context.Context, id uuid.UUID) ([]uuid.UUID, error) {
	var ids []uuid.UUID
	err := s.pool.QueryRow(ctx, `SELECT person_aliases($1)`, id).Scan(&ids)
	return ids, wrap(err, "reading who became person "+id.String())
}

// RoutedInstances are those that have a route of one of the persons.
func (s *Store) RoutedInstances(ctx context.Context, persons ...uuid.UUID) ([]uuid.UUID, error) {
	rows, err := s.pool.Query(ctx, `SELECT DISTINCT instance_id FROM agent_routes WHERE person_id = ANY ($1)`, persons)
	if err != nil {
		return nil, wrap(err, "looking for routes of persons")
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	return ids, wrap(err, "looking for routes of persons")
}

const mergeColumns = `m.id, m.kind, m.source_person_id, m.target_person_id, m.identity_ids, m.automatic, m.made_by, m.reason, m.evidence,
	m.confidence, m.suggestion_id, m.created_at, m.undone_at, m.undone_by`

// ListMerges reads a page of changes, newest first.
func (s *Store) ListMerges(ctx context.Context, tenant string, f omni.MergeFilter, p omni.Page) ([]omni.Merge, error) {
	var w where
	w.and("m.tenant_id = ?", tenant)
	w.andID("m.id = ?", f.ID)
	w.andID("(m.source_person_id = ? OR m.target_person_id = ?)", f.PersonID)
	if f.Within != nil {
		w.and(`m.identity_ids <> '{}' AND NOT EXISTS (SELECT FROM identities i
			WHERE i.id = ANY (m.identity_ids) AND i.instance_id <> ALL (?::uuid[]))`, f.Within)
	}
	rows, err := s.pool.Query(ctx, "SELECT "+mergeColumns+" FROM merges m"+w.page("m.", p), w.args...)
	if err != nil {
		return nil, wrap(err, "listing merges")
	}
	defer rows.Close()
	var out []omni.Merge
	for rows.Next() {
		var m omni.Merge
		var suggestion uuid.NullUUID
		var evidence []byte
		if err := rows.Scan(&m.ID, &m.Kind, &m.SourcePersonID, &m.TargetPersonID, &m.IdentityIDs, &m.Automatic, &m.By, &m.Reason, &evidence,
			&m.Confidence, &suggestion, &m.CreatedAt, &m.UndoneAt, &m.UndoneBy); err != nil {
			return nil, wrap(err, "reading merges")
		}
		if err := json.Unmarshal(evidence, &m.Evidence); err != nil {
			return nil, wrap(err, "decoding the evidence of merge "+m.ID.String())
		}
		m.PersonID, m.SuggestionID = m.TargetPersonID, idOf(suggestion)
		if m.UndoneAt != nil {
			m.PersonID = m.SourcePersonID
		}
		out = append(out, m)
	}
	return out, wrap(rows.Err(), "reading merges")
}

// ListSuggestions reads a page, newest first. Open ones are those whose persons
// are not one by now, each pair once.
func (s *Store) ListSuggestions(ctx context.Context, tenant string, f omni.SuggestionFilter, p omni.Page) ([]omni.Suggestion, error) {
	w := suggestionWhere(tenant, f)
	rows, err := s.pool.Query(ctx, `SELECT s.id, s.status, s.confidence, s.reasons, s.merge_id, s.decided_by, s.decided_at, s.created_at,
		jsonb_build_array(
			jsonb_build_object('id', a.person_id, 'displayName', coalesce(pa.display_name, ''), 'identityId', a.id, 'instanceId', a.instance_id,
				'channel', a.channel, 'platformUserId', a.platform_user_id),
			jsonb_build_object('id', b.person_id, 'displayName', coalesce(pb.display_name, ''), 'identityId', b.id, 'instanceId', b.instance_id,
				'channel', b.channel, 'platformUserId', b.platform_user_id)), (pb.created_at, pb.id) < (pa.created_at, pa.id)
		FROM person_suggestions s JOIN identities a ON a.id = s.identity_a JOIN identities b ON b.id = s.identity_b
		LEFT JOIN persons pa ON pa.id = a.person_id LEFT JOIN persons pb ON pb.id = b.person_id`+w.page("s.", p), w.args...)
	if err != nil {
		return nil, wrap(err, "listing suggestions")
	}
	defer rows.Close()
	var out []omni.Suggestion
	for rows.Next() {
		var v omni.Suggestion
		var merge uuid.NullUUID
		var reasons, persons []byte
		var swap *bool
		if err := rows.Scan(&v.ID, &v.Status, &v.Confidence, &reasons, &merge, &v.DecidedBy, &v.DecidedAt, &v.CreatedAt, &persons, &swap); err != nil {
			return nil, wrap(err, "reading suggestions")
		}
		if err := errors.Join(json.Unmarshal(reasons, &v.Reasons), json.Unmarshal(persons, &v.Persons)); err != nil {
			return nil, wrap(err, "decoding suggestion "+v.ID.String())
		}
		if swap != nil && *swap {
			v.Persons[0], v.Persons[1] = v.Persons[1], v.Persons[0]
		}
		v.MergeID, v.PersonIDs = idOf(merge), []uuid.UUID{v.Persons[0].ID, v.Persons[1].ID}
		out = append(out, v)
	}
	return out, wrap(rows.Err(), "reading suggestions")
}

func suggestionWhere(tenant string, f omni.SuggestionFilter) *where {
	w := &where{}
	w.and("s.tenant_id = ?", tenant)
	if f.Within != nil { // of both persons, all that a merge would move
		w.and(`NOT EXISTS (SELECT FROM identities i WHERE i.person_id IN (a.person_id, b.person_id) AND i.instance_id <> ALL (?::uuid[]))`, f.Within)
	}
	w.andID("(a.person_id = ? OR b.person_id = ?)", f.PersonID)
	w.andID("(a.instance_id = ? OR b.instance_id = ?)", f.InstanceID)
	if f.ID != uuid.Nil {
		w.and("s.id = ?", f.ID)
		return w
	}
	if f.Status == "" {
		f.Status = "open"
	}
	w.and("s.status = ?", f.Status)
	if f.Status == "open" {
		// After a merge two may be about the same persons.
		w.conds = append(w.conds, `a.person_id <> b.person_id`, `NOT EXISTS (
			SELECT FROM person_suggestions o JOIN identities x ON x.id = o.identity_a JOIN identities y ON y.id = o.identity_b
			WHERE o.identity_a = ANY (ARRAY(SELECT i.id FROM identities i WHERE i.person_id IN (a.person_id, b.person_id)))
			  AND x.person_id <> y.person_id AND y.person_id IN (a.person_id, b.person_id)
			  AND o.id <> s.id AND (o.status = 'dismissed' OR o.status = 'open' AND o.id < s.id))`)
	}
	return w
}
