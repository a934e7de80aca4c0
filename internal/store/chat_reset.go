package store

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/omnihub/omni/internal/omni"
)

// ResetChat begins the agent's session in a chat anew; ErrNotFound where there
// is no such chat.
func (s *Store) ResetChat(ctx context.Context, id uuid.UUID, by string) error {
	var epoch *int
	if err := s.pool.QueryRow(ctx, `SELECT chat_reset($1, NULL, $2, NULL)`, id, by).Scan(&epoch); err != nil {
		return wrap(err, "resetting chat "+id.String())
	}
	if epoch == nil {
		return wrap(ErrNotFound, "resetting chat "+id.String())
	}
	s.Nudge()
	return nil
}

// ResetByMessage begins the agent's session anew because a message asks for
// it; the message is not answered. Called again it does nothing, and says what
// is true for the message.
func (s *Store) ResetByMessage(ctx context.Context, chat, messageID uuid.UUID, workflowID, reason string) (omni.TurnView, error) {
	v, err := s.scanTurnView(s.pool.QueryRow(ctx, `SELECT * FROM message_reset($1,$2,$3,$4)`, chat, messageID, workflowID, reason))
	if err != nil {
		return omni.TurnView{}, fmt.Errorf("resetting chat %s by message %s: %w", chat, messageID, err)
	}
	s.Nudge()
	return v, nil
}
