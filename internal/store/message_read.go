package store

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/store/dbsqlc"
)

// Message reads one message of a tenant; ErrNotFound if there is none.
func (s *Store) Message(ctx context.Context, tenant string, id uuid.UUID) (*omni.Message, error) {
	row, err := s.q.GetMessage(ctx, dbsqlc.GetMessageParams{ID: id, TenantID: tenant})
	if err != nil {
		return nil, wrap(err, "reading message "+id.String())
	}
	m, err := messageView(row)
	return &m, err
}

// ListMessages reads a page, newest first.
func (s *Store) ListMessages(ctx context.Context, tenant string, f omni.MessageFilter, p omni.Page) ([]omni.Message, error) {
	var w where
	w.and("tenant_id = ?", tenant)
	w.conds = append(w.conds, "kind <> 'stub'")
	w.within("instance_id", f.Within)
	w.andID("instance_id = ?", f.InstanceID)
	w.andID("chat_id = ?", f.ChatID)
	if f.PersonID != uuid.Nil {
		names, err := s.personNames(ctx, f.PersonID)
		if err != nil {
			return nil, err
		}
		if len(names) > 1 { // for a moment; else one of the index, in its order
			w.and("person_id = ANY (?::uuid[])", names)
		} else {
			w.andID("person_id = ?", f.PersonID)
		}
	}
	w.andID("turn_id = ?", f.TurnID)
	w.andText("direction = ?", f.Direction)
	w.andText("status = ?", f.Status)
	rows, err := s.pool.Query(ctx, "SELECT "+messageColumns+" FROM messages"+w.page("", p), w.args...)
	if err != nil {
		return nil, wrap(err, "listing messages")
	}
	return collectMessages(rows)
}

// TurnReplies reads the outbound messages of a turn in their order.
func (s *Store) TurnReplies(ctx context.Context, turn uuid.UUID) ([]omni.Message, error) {
	rows, err := s.q.TurnReplies(ctx, uuid.NullUUID{UUID: turn, Valid: true})
	if err != nil {
		return nil, wrap(err, "reading the replies of turn "+turn.String())
	}
	return messageViews(rows)
}

func collectMessages(rows pgx.Rows) ([]omni.Message, error) {
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[dbsqlc.Message])
	if err != nil {
		return nil, wrap(err, "reading messages")
	}
	return messageViews(found)
}

func messageViews(rows []dbsqlc.Message) ([]omni.Message, error) {
	out := make([]omni.Message, 0, len(rows))
	for _, row := range rows {
		m, err := messageView(row)
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, nil
}

func messageView(r dbsqlc.Message) (omni.Message, error) {
	m := omni.Message{
		ID: r.ID, TenantID: r.TenantID, InstanceID: r.InstanceID, Channel: r.Channel, ChatID: r.ChatID,
		PersonID: idOf(r.PersonID), Direction: omni.Direction(r.Direction), Kind: r.Kind, ExternalID: r.ExternalID,
		Status: omni.Status(r.Status), StatusReason: r.StatusReason, ReplyTo: idOf(r.ReplyTo), TurnID: idOf(r.TurnID),
		CorrelationID: idOf(r.CorrelationID), Attempts: int(r.Attempts), Error: r.Error, SendAt: r.SendAt, SentAt: r.SentAt,
		EditedAt: r.EditedAt, DeletedAt: r.DeletedAt, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt,
	}
	if err := json.Unmarshal(r.Content, &m.Content); err != nil {
		return m, fmt.Errorf("reading the content of message %s: %w", r.ID, err)
	}
	if r.AccessDecision != nil {
		m.Access = &omni.MessageAccess{Decision: *r.AccessDecision, RuleID: idOf(r.AccessRuleID), Reason: r.AccessReason}
	}
	if r.SenderPlatformID != "" || r.SenderName != "" {
		m.Sender = &omni.MessageSender{ID: r.SenderPlatformID, Name: r.SenderName}
	}
	if r.PartCount > 0 {
		m.Part = &message.Part{Index: int(r.PartIndex), Count: int(r.PartCount)}
	}
	return m, nil
}
