package store

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// TakeoverChat pauses a chat until a time (nil: until resumed) and cancels its
// turns: at most the part already handed over still goes out. It returns the
// turns that were cancelled; ErrNotFound where there is no such chat.
func (s *Store) TakeoverChat(ctx context.Context, id uuid.UUID, until *time.Time, reason string) ([]uuid.UUID, error) {
	var turns []uuid.UUID
	err := s.pool.QueryRow(ctx, `SELECT chat_takeover($1, $2, $3)`, id, until, reason).Scan(&turns)
	if err != nil {
		return nil, wrap(err, "taking over chat "+id.String())
	}
	if turns == nil {
		return nil, wrap(ErrNotFound, "taking over chat "+id.String())
	}
	s.Nudge()
	return turns, nil
}

// ResumeChat lets the agent answer again; ErrNotFound where there is no such
// chat.
func (s *Store) ResumeChat(ctx context.Context, id uuid.UUID) error {
	var found bool
	if err := s.pool.QueryRow(ctx, `SELECT chat_resume($1)`, id).Scan(&found); err != nil {
		return wrap(err, "resuming chat "+id.String())
	}
	if !found {
		return wrap(ErrNotFound, "resuming chat "+id.String())
	}
	s.Nudge()
	return nil
}
