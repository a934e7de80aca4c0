package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/store/dbsqlc"
)

// InboundMessage reads what the first steps need of a message, from memory
// where this process has just recorded or read it: what they look at does not
// change, and where it stands is decided under the chat's lock. ErrNotFound:
// nobody has recorded it yet.
func (s *Store) InboundMessage(ctx context.Context, id uuid.UUID) (*omni.InboundMessage, error) {
	if m, ok := s.inbound.GetIfPresent(id); ok {
		return m, nil
	}
	r, err := s.q.InboundMessage(ctx, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("reading message %s: %w", id, err)
	}
	m, err := s.newInboundMessage(ctx, id, r)
	if err != nil {
		return nil, err
	}
	s.inbound.Set(id, m)
	return m, nil
}

func (s *Store) newInboundMessage(ctx context.Context, id uuid.UUID, r dbsqlc.InboundMessageRow) (*omni.InboundMessage, error) {
	m := &omni.InboundMessage{ID: id, PersonID: r.PersonID, Status: omni.Status(r.Status), Kind: message.Kind(r.Kind), FromMe: r.FromMe,
		SenderID: r.SenderPlatformID, Text: r.Text, TargetExternalID: r.ReplyToExternal, SentAt: deref(r.SentAt)}
	if r.AccessDecision != nil {
		m.Access = &omni.AccessDecision{Decision: *r.AccessDecision, RuleID: r.AccessRuleID, Reason: r.AccessReason}
	}
	if len(r.Question) > 0 {
		var err error
		if m.Question, err = s.newAccessQuestion(ctx, r.Question); err != nil {
			return nil, err
		}
	}
	if err := json.Unmarshal(r.Facts, &m.Facts); err != nil {
		return nil, fmt.Errorf("decoding the facts of message %s: %w", id, err)
	}
	if err := json.Unmarshal(r.Content, &m.Content); err != nil {
		return nil, fmt.Errorf("decoding the content of message %s: %w", id, err)
	}
	return m, nil
}

// WroteMessage reports whether the account itself wrote the message that has
// this id on the platform, in that chat.
func (s *Store) WroteMessage(ctx context.Context, instance, chat uuid.UUID, externalID string) (bool, error) {
	wrote, err := s.q.WroteMessage(ctx, dbsqlc.WroteMessageParams{InstanceID: instance, ExternalID: externalID, ChatID: chat})
	if err != nil {
		return false, fmt.Errorf("looking for a message of ours in chat %s: %w", chat, err)
	}
	return wrote, nil
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

// StrandedMessages lists messages recorded to be begun, longer ago than that,
// whose workflow has not taken them up; oldest first.
func (s *Store) StrandedMessages(ctx context.Context, olderThan time.Duration, limit int) ([]omni.StrandedMessage, error) {
	rows, err := s.q.StrandedMessages(ctx, dbsqlc.StrandedMessagesParams{
		OlderThan: pgtype.Interval{Microseconds: olderThan.Microseconds(), Valid: true}, LimitTo: int32(limit)})
	if err != nil {
		return nil, fmt.Errorf("listing stranded messages: %w", err)
	}
	stranded := make([]omni.StrandedMessage, len(rows))
	for i, r := range rows {
		stranded[i] = omni.StrandedMessage{ID: r.ID, TenantID: r.TenantID, InstanceID: r.InstanceID, Channel: r.Channel, ChatID: r.ChatID,
			Kind: r.Kind, ExternalID: r.ExternalID, Seq: uint64(r.Seq), RecordedAt: r.CreatedAt, Traceparent: r.Traceparent}
	}
	return stranded, nil
}
