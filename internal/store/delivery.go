package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
)

// ClaimPart hands out the next part of a turn's reply, committed as sending.
func (s *Store) ClaimPart(ctx context.Context, p omni.ClaimParams) (omni.PartClaim, error) {
	c, err := scanClaim(s.pool.QueryRow(ctx, `SELECT * FROM part_claim($1,$2,$3,$4,$5,$6,$7,$8)`,
		p.ChatID, p.TurnID, p.WorkflowID, p.Epoch, p.Sender, p.TTL, p.SkipUnknown, p.StartedAt))
	if err != nil {
		return omni.PartClaim{}, fmt.Errorf("claiming a part of turn %s: %w", p.TurnID, err)
	}
	return c, nil
}

// ClaimOutbound hands out a message sent by API, committed as sending.
func (s *Store) ClaimOutbound(ctx context.Context, p omni.ClaimParams) (omni.PartClaim, error) {
	c, err := scanClaim(s.pool.QueryRow(ctx, `SELECT * FROM outbound_claim($1,$2,$3,$4,$5)`,
		p.ChatID, p.MessageID, p.Sender, p.TTL, p.StartedAt))
	if err != nil {
		return omni.PartClaim{}, fmt.Errorf("claiming outbound message %s: %w", p.MessageID, err)
	}
	return c, nil
}

// scanClaim reads a part_view that follows the columns of before.
func scanClaim(row rowScanner, before ...any) (omni.PartClaim, error) {
	var (
		c                                     omni.PartClaim
		state, external, chatType, reply, fal *string
		id                                    uuid.NullUUID
		index, count, attempts, wait, sent    *int
		content                               []byte
	)
	into := append(before, &state, &id, &index, &count, &content, &attempts, &external, &chatType, &reply, &wait, &sent, &fal)
	if err := row.Scan(into...); err != nil {
		return omni.PartClaim{}, err
	}
	c.State, c.MessageID, c.Error = deref(state), id.UUID, deref(fal)
	c.Part = message.Part{Index: deref(index), Count: deref(count)}
	c.Attempts, c.Sent, c.Wait = deref(attempts), deref(sent), time.Duration(deref(wait))*time.Millisecond
	c.Chat = message.Chat{ID: deref(external), Type: message.ChatType(deref(chatType))}
	c.ReplyTo = deref(reply)
	if content == nil {
		return c, nil
	}
	said := any(&c.Content)
	if c.State == "stopped" || c.State == "cancelled" || c.State == "expired" {
		said = &c.Status
	}
	if err := json.Unmarshal(content, said); err != nil {
		return omni.PartClaim{}, fmt.Errorf("decoding part %s: %w", c.MessageID, err)
	}
	return c, nil
}

// ReceiptPart records what came of a part. finished: it was the last one, and
// the turn has its outcome; wake then are the leaders that wait behind.
func (s *Store) ReceiptPart(ctx context.Context, p omni.ReceiptParams) (finished bool, wake []string, err error) {
	err = s.together.queryRow(ctx, p.ChatID, func(row pgx.Row) error { return row.Scan(&finished, &wake) },
		`SELECT finished, wake FROM part_receipt($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12)`,
		p.ChatID, p.MessageID, p.Status, p.ExternalID, p.Error, p.TurnID, p.WorkflowID, p.Epoch, p.FinishAs,
		p.Attempt.StartedAt, p.Attempt.Number, p.RetryAfter)
	if err != nil {
		return false, nil, fmt.Errorf("receipting part %s: %w", p.MessageID, err)
	}
	s.Nudge()
	return finished, wake, nil
}

// UncertainPart notes that a part which may have arrived is sent again all the
// same, and returns how often that has been.
func (s *Store) UncertainPart(ctx context.Context, id uuid.UUID, try int, reason string) (times int, err error) {
	if err := s.pool.QueryRow(ctx, `SELECT part_uncertain($1,$2,$3)`, id, try, reason).Scan(&times); err != nil {
		return 0, fmt.Errorf("noting that part %s is uncertain: %w", id, err)
	}
	return times, nil
}

// DoubtPart notes that a part may have arrived, before it is handed over once
// more under the same key.
func (s *Store) DoubtPart(ctx context.Context, id uuid.UUID) error {
	if err := s.q.DoubtPart(ctx, id); err != nil {
		return fmt.Errorf("noting that part %s may have arrived: %w", id, err)
	}
	return nil
}

// PartLength returns how many characters a part of a turn's reply has; 0 where
// there is no such part.
func (s *Store) PartLength(ctx context.Context, turn uuid.UUID, index int) (length int, err error) {
	if err := s.pool.QueryRow(ctx, `SELECT part_length($1,$2)`, turn, index).Scan(&length); err != nil {
		return 0, fmt.Errorf("measuring part %d of turn %s: %w", index, turn, err)
	}
	return length, nil
}

// ReleaseSender gives a sender's leases back. unit is the turn or the outbound
// message.
func (s *Store) ReleaseSender(ctx context.Context, chat, unit uuid.UUID, sender string) error {
	if _, err := s.pool.Exec(ctx, `SELECT sender_release($1,$2,$3)`, chat, unit, sender); err != nil {
		return fmt.Errorf("releasing the delivery of %s: %w", unit, err)
	}
	return nil
}

// RenewSender keeps a sender's leases for another 15 seconds.
func (s *Store) RenewSender(ctx context.Context, chat, unit uuid.UUID, sender string) error {
	if _, err := s.pool.Exec(ctx, `SELECT sender_renew($1,$2,$3)`, chat, unit, sender); err != nil {
		return fmt.Errorf("renewing the delivery of %s: %w", unit, err)
	}
	return nil
}
