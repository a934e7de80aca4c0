package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
)

// TakeoverChat pauses a chat and cancels its turns: at most the part already
// handed over still goes out. It returns the turns that were cancelled;
// ErrNotFound where there is no such chat.
func (s *Store) TakeoverChat(ctx context.Context, id uuid.UUID, t omni.Takeover) ([]uuid.UUID, error) {
	var turns []uuid.UUID
	err := s.pool.QueryRow(ctx, `SELECT chat_takeover($1, $2, $3, $4)`, id, t.Until, t.Reason, t.By).Scan(&turns)
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
func (s *Store) ResumeChat(ctx context.Context, id uuid.UUID, by string) error {
	var found bool
	if err := s.pool.QueryRow(ctx, `SELECT chat_resume($1, 'by call', $2)`, id, by).Scan(&found); err != nil {
		return wrap(err, "resuming chat "+id.String())
	}
	if !found {
		return wrap(ErrNotFound, "resuming chat "+id.String())
	}
	s.Nudge()
	return nil
}

// ResumeDueChats ends the takeovers whose time is over, at most limit, and
// returns how many.
func (s *Store) ResumeDueChats(ctx context.Context, limit int) (int, error) {
	var n int
	if err := s.pool.QueryRow(ctx, `SELECT chats_resume_due($1)`, limit).Scan(&n); err != nil {
		return 0, fmt.Errorf("ending takeovers whose time is over: %w", err)
	}
	if n > 0 {
		s.Nudge()
	}
	return n, nil
}

// ownMessageWait is how long a message that the account itself wrote may be
// one of our sends whose receipt is still to come.
const ownMessageWait = 30 * time.Second

// RecordOwn records a message that the account itself wrote, unless it is one
// of our own sends come back. With takeover > 0 the operator has the chat from
// then on, for that long after it came in.
func (s *Store) RecordOwn(ctx context.Context, e *omni.Envelope, takeover time.Duration) (omni.OwnMessage, error) {
	p, err := json.Marshal(newMessageRow(e))
	if err != nil {
		return omni.OwnMessage{}, fmt.Errorf("encoding message %s: %w", e.MessageID, err)
	}
	var out omni.OwnMessage
	err = s.pool.QueryRow(ctx, `SELECT state, turns FROM own_message($1, $2, $3, $4)`, p, clientID(&e.Event), takeover, ownMessageWait).
		Scan(&out.State, &out.Cancelled)
	if err != nil {
		return omni.OwnMessage{}, fmt.Errorf("recording own message %s: %w", e.MessageID, err)
	}
	s.Nudge()
	return out, nil
}

// clientID is the id of the outbound message that an echo may be of: platforms
// that know our id give it back beside their own, or in its place.
func clientID(in *message.Inbound) uuid.NullUUID {
	for _, s := range []string{in.ClientID, in.ID} {
		if id, err := uuid.Parse(s); err == nil {
			return uuid.NullUUID{UUID: id, Valid: true}
		}
	}
	return uuid.NullUUID{}
}
