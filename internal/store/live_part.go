package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
)

// ClaimLive takes a live part for the turn's one sender, committed as sending,
// or begins it.
func (s *Store) ClaimLive(ctx context.Context, c omni.LiveClaim) (omni.LivePart, error) {
	var (
		p                               omni.LivePart
		id                              uuid.NullUUID
		index                           *int
		external, shown, chat, kind, to *string
	)
	err := s.pool.QueryRow(ctx, `SELECT * FROM live_claim($1,$2,$3,$4,$5,$6,$7,$8)`, c.ChatID, c.TurnID, c.WorkflowID, c.Epoch, c.Sender,
		c.Index, omni.PartID(c.TurnID, c.Index), c.Text).Scan(&p.State, &id, &index, &external, &shown, &chat, &kind, &to)
	if err != nil {
		return omni.LivePart{}, fmt.Errorf("claiming live part %d of turn %s: %w", c.Index, c.TurnID, err)
	}
	p.MessageID, p.Index, p.ExternalID, p.Shown, p.ReplyTo = id.UUID, deref(index), deref(external), deref(shown), deref(to)
	p.Chat = message.Chat{ID: deref(chat), Type: message.ChatType(deref(kind))}
	return p, nil
}

// ShownLive notes what the platform shows of a live part by now. mine: the turn
// is still the caller's to answer.
func (s *Store) ShownLive(ctx context.Context, t omni.LiveText) (mine bool, err error) {
	err = s.pool.QueryRow(ctx, `SELECT live_shown($1,$2,$3,$4,$5,$6,$7,$8)`, t.ChatID, t.TurnID, t.WorkflowID, t.Epoch, t.Sender,
		t.MessageID, t.ExternalID, t.Text).Scan(&mine)
	if err != nil {
		return false, fmt.Errorf("noting what is shown of part %s: %w", t.MessageID, err)
	}
	return mine, nil
}

// LiveParts lists the live parts of a turn that are not over, in order.
func (s *Store) LiveParts(ctx context.Context, turn uuid.UUID) ([]omni.LivePart, error) {
	rows, err := s.pool.Query(ctx, `SELECT l.id, l.part_index, l.external_id, l.shown, l.status = 'queued', l.bubble, c.external_id, c.type
		FROM live_rows($1) l JOIN chats c ON c.id = l.chat_id ORDER BY l.part_index`, turn)
	if err == nil {
		var parts []omni.LivePart
		parts, err = pgx.CollectRows(rows, scanLivePart)
		if err == nil {
			return parts, nil
		}
	}
	return nil, fmt.Errorf("reading the live parts of turn %s: %w", turn, err)
}

// LivePart reads a part as a live one; nil: it never was.
func (s *Store) LivePart(ctx context.Context, id uuid.UUID) (*omni.LivePart, error) {
	rows, err := s.pool.Query(ctx, `SELECT m.id, m.part_index, m.external_id, coalesce(m.shown, ''), m.status = 'queued', m.bubble,
		c.external_id, c.type
		FROM messages m JOIN chats c ON c.id = m.chat_id WHERE m.id = $1 AND (m.shown IS NOT NULL OR m.bubble > 0)`, id)
	if err == nil {
		var p omni.LivePart
		p, err = pgx.CollectExactlyOneRow(rows, scanLivePart)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return nil, nil //nolint:nilnil // documented: it is not a live one
		case err == nil:
			return &p, nil
		}
	}
	return nil, fmt.Errorf("reading live part %s: %w", id, err)
}

func scanLivePart(row pgx.CollectableRow) (p omni.LivePart, err error) {
	err = row.Scan(&p.MessageID, &p.Index, &p.ExternalID, &p.Shown, &p.Queued, &p.Bubble, &p.Chat.ID, &p.Chat.Type)
	return p, err
}

// SettleLive ends a live part as what people saw of it; externalID is "" where
// it is known. Without a reason it is the outcome of its turn. deleted: it was
// taken back on the platform.
func (s *Store) SettleLive(ctx context.Context, chat, id uuid.UUID, externalID, reason string, deleted bool) error {
	if _, err := s.pool.Exec(ctx, `SELECT live_settle($1,$2,$3,$4,$5)`, chat, id, externalID, reason, deleted); err != nil {
		return fmt.Errorf("settling live part %s: %w", id, err)
	}
	s.Nudge()
	return nil
}

// ReplaceLive has a live part that cannot be edited go out as another bubble:
// the whole of it, or only what is not shown yet.
func (s *Store) ReplaceLive(ctx context.Context, chat, id uuid.UUID, rest bool, reason string) error {
	if _, err := s.pool.Exec(ctx, `SELECT live_replace($1,$2,$3,$4)`, chat, id, rest, reason); err != nil {
		return fmt.Errorf("replacing live part %s: %w", id, err)
	}
	return nil
}
