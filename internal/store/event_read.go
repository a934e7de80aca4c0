package store

import (
	"context"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/omnihub/omni/internal/omni"
)

// As EventsAfter reads them.
const eventColumns = `seq, xid::text AS xid, id, tenant_id, type, time, subject, instance_id, channel, chat_id, person_id,
	correlation_id, causation_id,
	coalesce(nullif(traceparent, ''), (SELECT m.traceparent FROM messages m WHERE m.id = events.correlation_id), '')::text AS traceparent,
	dataversion, data`

// Event reads one event of a tenant; ErrNotFound if there is none.
func (s *Store) Event(ctx context.Context, tenant string, id uuid.UUID) (*omni.Event, error) {
	rows, err := s.pool.Query(ctx, "SELECT "+eventColumns+" FROM events WHERE id = $1 AND tenant_id = $2", id, tenant)
	if err != nil {
		return nil, wrap(err, "reading event "+id.String())
	}
	e, err := pgx.CollectExactlyOneRow(rows, scanEvent)
	if err != nil {
		return nil, wrap(err, "reading event "+id.String())
	}
	return &e, nil
}

// ListEvents reads up to limit events, newest first, that come before a
// position (zero: from the newest on).
func (s *Store) ListEvents(ctx context.Context, tenant string, f omni.EventFilter, before omni.Position, limit int) ([]omni.Event, error) {
	w := eventsWhere(tenant, f)
	if !before.IsZero() {
		w.conds = append(w.conds, "(xid, seq) < ("+w.arg(xidText(before))+"::text::xid8, "+w.arg(before.Seq)+")")
	}
	rows, err := s.pool.Query(ctx, "SELECT "+eventColumns+" FROM events"+w.sql()+
		" ORDER BY events.xid DESC, seq DESC LIMIT "+w.arg(limit), w.args...)
	if err != nil {
		return nil, wrap(err, "listing events")
	}
	out, err := pgx.CollectRows(rows, scanEvent)
	return out, wrap(err, "listing events")
}

// EventsByCorrelation reads up to limit events that any of the ids began, in
// the order they happened.
func (s *Store) EventsByCorrelation(ctx context.Context, tenant string, ids []uuid.UUID, limit int) ([]omni.Event, error) {
	rows, err := s.pool.Query(ctx, "SELECT "+eventColumns+` FROM events
		WHERE correlation_id = ANY ($1::uuid[]) AND tenant_id = $2 ORDER BY time, seq LIMIT $3`, ids, tenant, limit)
	if err != nil {
		return nil, wrap(err, "reading a trace")
	}
	out, err := pgx.CollectRows(rows, scanEvent)
	return out, wrap(err, "reading a trace")
}

// personEvents are the events about a person, whoever it was then: the log is
// never changed, so they are found by whose the message is now that began them.
// Those that no message began are of the person, or of one that became it; the
// chat's own are of the person whom the chat is with.
const personEvents = `(person_id IS NOT NULL AND correlation_id = ANY (ARRAY(SELECT m.id FROM messages m WHERE m.person_id = ANY (person_names(person_now(?)))))
	OR correlation_id IS NULL AND person_id = ANY (person_aliases(?))
	OR person_id IS NOT NULL AND starts_with(type, 'chat.') AND chat_id = ANY (ARRAY(
		SELECT c.id FROM chats c WHERE c.person_id = person_now(?)
		AND c.id IN (SELECT m.chat_id FROM messages m WHERE m.person_id = ANY (person_names(person_now(?)))))))`

func eventsWhere(tenant string, f omni.EventFilter) *where {
	w := &where{}
	w.and("tenant_id = ?", tenant)
	w.within("instance_id", f.Within)
	w.types(f.Types)
	w.andID("instance_id = ?", f.InstanceID)
	w.andID("chat_id = ?", f.ChatID)
	w.andID(personEvents, f.PersonID)
	w.andID("correlation_id = ?", f.CorrelationID)
	if !f.Since.IsZero() {
		w.and("time >= ?", f.Since)
	}
	if !f.Until.IsZero() {
		w.and("time < ?", f.Until)
	}
	if !f.After.IsZero() {
		w.conds = append(w.conds, "(xid, seq) > ("+w.arg(xidText(f.After))+"::text::xid8, "+w.arg(f.After.Seq)+")")
	}
	return w
}

// types adds the patterns as omni.MatchType reads them.
func (w *where) types(patterns []string) {
	if len(patterns) == 0 {
		return
	}
	var fits []string
	for _, p := range patterns {
		if head, ok := strings.CutSuffix(p, "*"); ok {
			fits = append(fits, "starts_with(type, "+w.arg(head)+")")
			continue
		}
		fits = append(fits, "type = "+w.arg(p))
	}
	w.conds = append(w.conds, "("+strings.Join(fits, " OR ")+")")
}

func xidText(p omni.Position) string { return strconv.FormatUint(p.Xid, 10) }

func scanEvent(row pgx.CollectableRow) (omni.Event, error) {
	var e omni.Event
	var xid string
	var seq int64
	err := row.Scan(&seq, &xid, &e.ID, &e.TenantID, &e.Type, &e.Time, &e.Subject, &e.InstanceID, &e.Channel, &e.ChatID,
		&e.PersonID, &e.CorrelationID, &e.CausationID, &e.Traceparent, &e.DataVersion, &e.Data)
	if err != nil {
		return e, err
	}
	e.Position, err = position(xid, seq)
	return e, err
}
