package store

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/store/dbsqlc"
)

// DeadLetter reads one dead letter of a tenant; ErrNotFound if there is none.
func (s *Store) DeadLetter(ctx context.Context, tenant string, id uuid.UUID) (*omni.DeadLetter, error) {
	row, err := s.q.GetDeadLetter(ctx, dbsqlc.GetDeadLetterParams{ID: id, TenantID: tenant})
	if err != nil {
		return nil, wrap(err, "reading dead letter "+id.String())
	}
	d := deadLetterView(row)
	return &d, nil
}

// ListDeadLetters reads a page, newest first.
func (s *Store) ListDeadLetters(ctx context.Context, tenant string, f omni.DeadLetterFilter, p omni.Page) ([]omni.DeadLetter, error) {
	w := deadLetterWhere(tenant, f)
	rows, err := s.pool.Query(ctx, "SELECT "+deadLetterColumns+" FROM dead_letters d"+w.page("d.", p), w.args...)
	if err != nil {
		return nil, wrap(err, "listing dead letters")
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[dbsqlc.DeadLetter])
	if err != nil {
		return nil, wrap(err, "reading dead letters")
	}
	out := make([]omni.DeadLetter, 0, len(found))
	for _, row := range found {
		out = append(out, deadLetterView(row))
	}
	return out, nil
}

// CountDeadLetters says how many there are.
func (s *Store) CountDeadLetters(ctx context.Context, tenant string, f omni.DeadLetterFilter) (int, error) {
	w := deadLetterWhere(tenant, f)
	var n int
	err := s.pool.QueryRow(ctx, "SELECT count(*) FROM dead_letters d"+w.sql(), w.args...).Scan(&n)
	return n, wrap(err, "counting dead letters")
}

// NextDeadLetters reads the places of the next ones after a place (nil: from
// the first on), oldest first: in the order in which to retry them.
func (s *Store) NextDeadLetters(ctx context.Context, tenant string, f omni.DeadLetterFilter, after *omni.Key, limit int) ([]omni.Key, error) {
	w := deadLetterWhere(tenant, f)
	if after != nil {
		w.conds = append(w.conds, "(d.created_at, d.id) > ("+w.arg(after.At)+", "+w.arg(after.ID)+")")
	}
	rows, err := s.pool.Query(ctx, "SELECT d.created_at, d.id FROM dead_letters d"+w.sql()+
		" ORDER BY d.created_at, d.id LIMIT "+w.arg(limit), w.args...)
	if err != nil {
		return nil, wrap(err, "looking for dead letters")
	}
	keys, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (k omni.Key, err error) {
		return k, row.Scan(&k.At, &k.ID)
	})
	return keys, wrap(err, "reading dead letters")
}

// ResolveDeadLetter closes an open one; false where it is not open.
func (s *Store) ResolveDeadLetter(ctx context.Context, tenant string, id uuid.UUID) (bool, error) {
	n, err := s.q.ResolveDeadLetter(ctx, dbsqlc.ResolveDeadLetterParams{ID: id, TenantID: tenant})
	return n > 0, wrap(err, "resolving dead letter "+id.String())
}

// ResolveDeadLetters closes all that are open, and says how many.
func (s *Store) ResolveDeadLetters(ctx context.Context, tenant string, f omni.DeadLetterFilter) (int, error) {
	f.Status = string(omni.DeadLetterOpen)
	w := deadLetterWhere(tenant, f)
	tag, err := s.pool.Exec(ctx, "UPDATE dead_letters d SET status = 'resolved', resolved_at = clock_timestamp()"+w.sql(), w.args...)
	return int(tag.RowsAffected()), wrap(err, "resolving dead letters")
}

// RetryDeadLetter takes what a dead letter is about back to the step that
// failed: see dead_letter_retry in the migrations. Nothing goes on by itself;
// the answer says what is to be started. ErrNotFound if there is no such letter.
func (s *Store) RetryDeadLetter(ctx context.Context, tenant string, id uuid.UUID) (*omni.DeadLetterRetry, error) {
	var (
		state, channel, workflow, traceparent *string
		instance, chat, message               uuid.NullUUID
		epoch, parts                          *int
	)
	r := &omni.DeadLetterRetry{TenantID: tenant, ID: id}
	err := s.pool.QueryRow(ctx, `SELECT state, instance_id, channel, chat_id, turn_id, message_id, epoch, workflow_id, traceparent, parts, input
		FROM dead_letter_retry($1, $2)`, tenant, id).
		Scan(&state, &instance, &channel, &chat, &r.TurnID, &message, &epoch, &workflow, &traceparent, &parts, &r.Input)
	if err != nil {
		return nil, wrap(err, "retrying dead letter "+id.String())
	}
	if state == nil {
		return nil, wrap(ErrNotFound, "retrying dead letter "+id.String())
	}
	r.State, r.Channel, r.Epoch, r.WorkflowID = omni.RetryState(*state), deref(channel), deref(epoch), deref(workflow)
	r.InstanceID, r.ChatID, r.MessageID, r.Traceparent = instance.UUID, chat.UUID, message.UUID, deref(traceparent)
	r.Parts = deref(parts)
	return r, nil
}

// MarkDeadLetterStarted notes that what goes on with a retried dead letter
// exists.
func (s *Store) MarkDeadLetterStarted(ctx context.Context, tenant string, id uuid.UUID) error {
	return wrap(s.q.MarkDeadLetterStarted(ctx, dbsqlc.MarkDeadLetterStartedParams{ID: id, TenantID: tenant}),
		"noting the retry of dead letter "+id.String())
}

// UnstartedDeadLetters are those retried longer ago than that which nothing is
// known to go on with: their process died, or Temporal was away.
func (s *Store) UnstartedDeadLetters(ctx context.Context, olderThan time.Duration, limit int) ([]omni.DeadLetterRef, error) {
	rows, err := s.q.UnstartedDeadLetters(ctx, dbsqlc.UnstartedDeadLettersParams{
		OlderThanSecs: olderThan.Seconds(), RowLimit: int32(limit)}) //nolint:gosec // a small number
	if err != nil {
		return nil, wrap(err, "looking for retries to start")
	}
	refs := make([]omni.DeadLetterRef, len(rows))
	for i, r := range rows {
		refs[i] = omni.DeadLetterRef{TenantID: r.TenantID, ID: r.ID}
	}
	return refs, nil
}

func deadLetterWhere(tenant string, f omni.DeadLetterFilter) *where {
	w := &where{}
	w.and("d.tenant_id = ?", tenant)
	w.within("d.instance_id", f.Within)
	w.andID("d.instance_id = ?", f.InstanceID)
	w.andID("d.chat_id = ?", f.ChatID)
	w.andID("EXISTS (SELECT FROM messages m WHERE m.id = d.message_id AND m.person_id = ?)", f.PersonID)
	w.andText("d.step = ?", f.Step)
	w.andText("d.cause = ?", f.Cause)
	w.andText("d.status = ?", f.Status)
	if f.Status == string(omni.DeadLetterOpen) {
		w.conds = append(w.conds, "d.open") // there is an index of these
	}
	if !f.Until.IsZero() {
		w.and("d.created_at < ?", f.Until)
	}
	return w
}

func deadLetterView(r dbsqlc.DeadLetter) omni.DeadLetter {
	return omni.DeadLetter{ID: r.ID, TenantID: r.TenantID, InstanceID: idOf(r.InstanceID), ChatID: idOf(r.ChatID),
		MessageID: idOf(r.MessageID), TurnID: idOf(r.TurnID), Step: r.Step, Cause: r.Cause, Error: r.Error, Attempts: int(r.Attempts),
		Input: r.Input, Status: omni.DeadLetterStatus(r.Status), CreatedAt: r.CreatedAt, RetriedAt: r.RetriedAt, ResolvedAt: r.ResolvedAt}
}
