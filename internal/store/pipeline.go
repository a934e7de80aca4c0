package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/store/dbsqlc"
)

// ResolveMessage is identity.Resolve: it reads the message with its person
// and, at the first call, writes identity.resolved. ErrNotFound: the recorder
// has not stored it yet.
func (s *Store) ResolveMessage(ctx context.Context, id uuid.UUID, a omni.Attempt) (*omni.InboundMessage, error) {
	r, err := s.q.ResolveMessage(ctx, dbsqlc.ResolveMessageParams{ID: id, StartedAt: a.StartedAt, Attempt: int32(a.Number)})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("resolving message %s: %w", id, err)
	}
	m, err := newInboundMessage(id, dbsqlc.MessageForJoinRow(r))
	if err != nil {
		return nil, err
	}
	s.inbound.Set(id, m)
	s.Nudge()
	return m, nil
}

// InboundMessage reads the message again, from memory where ResolveMessage
// has just read it in this process: what the triggers look at does not change.
func (s *Store) InboundMessage(ctx context.Context, id uuid.UUID) (*omni.InboundMessage, error) {
	if m, ok := s.inbound.GetIfPresent(id); ok {
		return m, nil
	}
	r, err := s.q.MessageForJoin(ctx, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("reading message %s: %w", id, err)
	}
	return newInboundMessage(id, r)
}

func newInboundMessage(id uuid.UUID, r dbsqlc.MessageForJoinRow) (*omni.InboundMessage, error) {
	m := &omni.InboundMessage{ID: id, PersonID: r.PersonID, Status: omni.Status(r.Status), Kind: message.Kind(r.Kind), FromMe: r.FromMe,
		SenderID: r.SenderPlatformID, Text: r.Text, SentAt: deref(r.SentAt)}
	if err := json.Unmarshal(r.Facts, &m.Facts); err != nil {
		return nil, fmt.Errorf("decoding the facts of message %s: %w", id, err)
	}
	if err := json.Unmarshal(r.Content, &m.Content); err != nil {
		return nil, fmt.Errorf("decoding the content of message %s: %w", id, err)
	}
	return m, nil
}

// LedTurn returns the newest turn that a message led.
func (s *Store) LedTurn(ctx context.Context, chat, messageID uuid.UUID) (turn uuid.NullUUID, epoch int, err error) {
	r, err := s.q.LedTurn(ctx, dbsqlc.LedTurnParams{MessageID: messageID, ChatID: chat})
	if errors.Is(err, pgx.ErrNoRows) {
		return uuid.NullUUID{}, 0, nil
	}
	if err != nil {
		return uuid.NullUUID{}, 0, fmt.Errorf("reading the turn led by %s: %w", messageID, err)
	}
	return uuid.NullUUID{UUID: r.ID, Valid: true}, int(r.Epoch), nil
}

// CheckMessage stores the decision unless one is stored already, and returns
// the one that stands.
func (s *Store) CheckMessage(ctx context.Context, id uuid.UUID, d omni.AccessDecision, a omni.Attempt) (omni.AccessDecision, error) {
	r, err := s.q.CheckMessage(ctx, dbsqlc.CheckMessageParams{ID: id, Decision: d.Decision, RuleID: d.RuleID, Reason: d.Reason,
		Mode: d.Mode, StartedAt: a.StartedAt, Attempt: int32(a.Number)})
	if err != nil {
		return omni.AccessDecision{}, fmt.Errorf("storing the access decision of message %s: %w", id, err)
	}
	d.Decision, d.RuleID = r.Decision, r.AccessRuleID
	s.Nudge()
	return d, nil
}
