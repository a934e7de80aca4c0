package store

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/store/dbsqlc"
)

// lastMessageAt is found when somebody asks: written with each message it would
// cost every one of them.
const lastMessageAt = `(SELECT m.created_at FROM messages m WHERE m.chat_id = chats.id
	ORDER BY m.created_at DESC, m.id DESC LIMIT 1) AS last_message_at`

// chatRow is what chatColumns read.
type chatRow struct {
	dbsqlc.Chat
	LastMessageAt *time.Time
}

// Chat reads one chat of a tenant; ErrNotFound if there is none.
func (s *Store) Chat(ctx context.Context, tenant string, id uuid.UUID) (*omni.Chat, error) {
	rows, err := s.pool.Query(ctx, "SELECT "+chatColumns+" FROM chats WHERE id = $1 AND tenant_id = $2", id, tenant)
	if err != nil {
		return nil, wrap(err, "reading chat "+id.String())
	}
	row, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[chatRow])
	if err != nil {
		return nil, wrap(err, "reading chat "+id.String())
	}
	c := chatView(row)
	return &c, nil
}

// ListChats reads a page, newest first.
func (s *Store) ListChats(ctx context.Context, tenant string, f omni.ChatFilter, p omni.Page) ([]omni.Chat, error) {
	var w where
	w.and("tenant_id = ?", tenant)
	w.within("instance_id", f.Within)
	w.andID("instance_id = ?", f.InstanceID)
	w.andID("id = ?", f.ChatID)
	w.andID("person_id = ?", f.PersonID)
	w.andText("type = ?", f.Type)
	if f.Paused != nil {
		w.and("(paused AND (paused_until IS NULL OR paused_until > now())) = ?", *f.Paused)
	}
	rows, err := s.pool.Query(ctx, "SELECT "+chatColumns+" FROM chats"+w.page("", p), w.args...)
	if err != nil {
		return nil, wrap(err, "listing chats")
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[chatRow])
	if err != nil {
		return nil, wrap(err, "reading chats")
	}
	out := make([]omni.Chat, 0, len(found))
	for _, row := range found {
		out = append(out, chatView(row))
	}
	return out, nil
}

func chatView(r chatRow) omni.Chat {
	// A takeover whose time is over is no more, whoever notes it down.
	if r.PausedUntil != nil && !r.PausedUntil.After(time.Now()) {
		r.Paused, r.PausedUntil = false, nil
	}
	return omni.Chat{
		ID: r.ID, TenantID: r.TenantID, InstanceID: r.InstanceID, Channel: r.Channel, ExternalID: r.ExternalID,
		Type: message.ChatType(r.Type), Name: r.Name, PersonID: idOf(r.PersonID), Paused: r.Paused,
		PausedUntil: r.PausedUntil, SessionEpoch: int(r.SessionEpoch), LastMessageAt: r.LastMessageAt, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt,
	}
}
