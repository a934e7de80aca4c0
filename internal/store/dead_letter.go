package store

import (
	"context"

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
	var w where
	w.and("d.tenant_id = ?", tenant)
	w.within("d.instance_id", f.Within)
	w.andID("d.instance_id = ?", f.InstanceID)
	w.andID("d.chat_id = ?", f.ChatID)
	w.andID("EXISTS (SELECT FROM messages m WHERE m.id = d.message_id AND m.person_id = ?)", f.PersonID)
	w.andText("d.step = ?", f.Step)
	w.andText("d.status = ?", f.Status)
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

func deadLetterView(r dbsqlc.DeadLetter) omni.DeadLetter {
	return omni.DeadLetter{ID: r.ID, TenantID: r.TenantID, InstanceID: idOf(r.InstanceID), ChatID: idOf(r.ChatID),
		MessageID: idOf(r.MessageID), TurnID: idOf(r.TurnID), Step: r.Step, Error: r.Error, Attempts: int(r.Attempts),
		Input: r.Input, Status: r.Status, CreatedAt: r.CreatedAt, ResolvedAt: r.ResolvedAt}
}
