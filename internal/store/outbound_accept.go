package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/store/dbsqlc"
)

// AcceptOutbound stores a message to be sent, with all its parts, its chat if
// that is new, the idempotency key and the events, in one transaction. A key that was used
// within 24 hours gives what it gave the first time (Repeated), or
// omni.ErrKeyReused where the request was another one. Any other key is
// refused where the draft says so (Refuse).
func (s *Store) AcceptOutbound(ctx context.Context, d omni.OutboundDraft) (*omni.OutboundAccepted, error) {
	var out *omni.OutboundAccepted
	err := s.inTx(ctx, func(_ pgx.Tx, q *dbsqlc.Queries) error {
		var err error
		out, err = acceptOutbound(ctx, q, d)
		return err
	})
	if err != nil {
		return nil, err
	}
	s.Nudge()
	return out, nil
}

func acceptOutbound(ctx context.Context, q *dbsqlc.Queries, d omni.OutboundDraft) (*omni.OutboundAccepted, error) {
	if taken, err := q.MessageExists(ctx, d.ID); err != nil {
		return nil, wrap(err, "looking for message "+d.ID.String())
	} else if taken {
		// Under the key's first use, or (forgotten after a day) a former one:
		// the key's row decides; should it be free, this is another message.
		d.ID = uuid.Must(uuid.NewV7())
	}
	n, err := q.ClaimIdempotencyKey(ctx, dbsqlc.ClaimIdempotencyKeyParams{
		TenantID: d.TenantID, KeyHash: d.KeyHash, BodyHash: d.BodyHash, MessageID: d.ID})
	if err != nil {
		return nil, wrap(err, "claiming the idempotency key")
	}
	if n == 0 {
		return repeatedOutbound(ctx, q, d)
	}
	if d.Refuse != nil { // the key is free again: the transaction ends here
		return nil, d.Refuse
	}
	return insertOutbound(ctx, q, d)
}

func repeatedOutbound(ctx context.Context, q *dbsqlc.Queries, d omni.OutboundDraft) (*omni.OutboundAccepted, error) {
	k, err := q.GetIdempotencyKey(ctx, dbsqlc.GetIdempotencyKeyParams{TenantID: d.TenantID, KeyHash: d.KeyHash})
	if err != nil {
		return nil, wrap(err, "reading the idempotency key")
	}
	if !bytes.Equal(k.BodyHash, d.BodyHash) {
		return nil, omni.ErrKeyReused
	}
	return &omni.OutboundAccepted{MessageID: k.MessageID, TenantID: d.TenantID, InstanceID: k.InstanceID, Channel: k.Channel,
		ChatID: k.ChatID, To: k.ExternalID, Status: omni.Status(k.Status), SendAt: k.SendAt, Traceparent: k.Traceparent,
		Parts: int(k.PartCount), Started: k.StartedAt != nil, Repeated: true}, nil
}

func insertOutbound(ctx context.Context, q *dbsqlc.Queries, d omni.OutboundDraft) (*omni.OutboundAccepted, error) {
	out := &omni.OutboundAccepted{MessageID: d.ID, TenantID: d.TenantID, InstanceID: d.InstanceID, Channel: d.Channel,
		ChatID: omni.ChatID(d.InstanceID, d.Chat.ID), To: d.Chat.ID, Status: omni.StatusQueued, SendAt: d.SendAt, Traceparent: d.Traceparent,
		Parts: 1 + len(d.Rest)}
	if d.SendAt != nil {
		out.Status = omni.StatusScheduled
	}
	with, err := q.EnsureChat(ctx, dbsqlc.EnsureChatParams{ID: out.ChatID, TenantID: d.TenantID, InstanceID: d.InstanceID,
		Channel: d.Channel, ExternalID: d.Chat.ID, Type: string(d.Chat.Type), Name: d.Chat.Name, PersonID: nullID(d.PersonID),
		AccountID: omni.IdentityID(d.InstanceID, d.Chat.ID)})
	if err != nil {
		return nil, wrap(err, "storing chat "+out.ChatID.String())
	}
	for i, content := range append([]message.Content{d.Content}, d.Rest...) {
		if err := insertOutboundPart(ctx, q, &d, out, with, i, content); err != nil {
			return nil, err
		}
		d.ReplyTo, d.ReplyToExt = nil, "" // the first part quotes what is answered
	}
	return out, nil
}

// insertOutboundPart stores one part, and the event.
func insertOutboundPart(ctx context.Context, q *dbsqlc.Queries, d *omni.OutboundDraft, acc *omni.OutboundAccepted, with dbsqlc.EnsureChatRow,
	index int, part message.Content) error {
	id := omni.OutboundPartID(d.ID, index)
	content, err := json.Marshal(part)
	if err != nil {
		return fmt.Errorf("encoding the content of message %s: %w", id, err)
	}
	if err := q.InsertOutbound(ctx, dbsqlc.InsertOutboundParams{ID: id, TenantID: d.TenantID, InstanceID: d.InstanceID,
		Channel: d.Channel, ChatID: acc.ChatID, PersonID: with.PersonID, IdentityID: with.IdentityID, Content: content, Text: part.Text,
		Status: string(acc.Status), ReplyTo: nullID(d.ReplyTo), ReplyToExternal: d.ReplyToExt,
		CorrelationID: uuid.NullUUID{UUID: d.ID, Valid: true}, Traceparent: d.Traceparent,
		PartIndex: int32(index), PartCount: int32(acc.Parts), SendAt: d.SendAt, //nolint:gosec // few parts
	}); err != nil {
		return wrap(err, "storing message "+id.String())
	}
	// message.sending says by data.status how far the sending is.
	return appendEvent(ctx, q, NewEvent{
		TenantID: d.TenantID, Type: omni.EventMessageSending, Subject: id.String(), InstanceID: d.InstanceID,
		Channel: d.Channel, ChatID: uuid.NullUUID{UUID: acc.ChatID, Valid: true}, PersonID: with.PersonID,
		CorrelationID: uuid.NullUUID{UUID: d.ID, Valid: true}, Traceparent: d.Traceparent,
		Data: acceptedData{MessageID: id, ChatID: acc.ChatID, PersonID: idOf(with.PersonID), InstanceID: d.InstanceID,
			Direction: omni.DirectionOutbound, Content: content, Part: message.Part{Index: index, Count: acc.Parts}, Status: acc.Status,
			ReplyTo: d.ReplyTo, SendAt: d.SendAt},
	})
}

// acceptedData is the data of the event.
type acceptedData struct {
	MessageID  uuid.UUID       `json:"messageId"`
	ChatID     uuid.UUID       `json:"chatId"`
	PersonID   *uuid.UUID      `json:"personId,omitempty"`
	InstanceID uuid.UUID       `json:"instanceId"`
	Direction  omni.Direction  `json:"direction"`
	Content    json.RawMessage `json:"content"`
	Part       message.Part    `json:"part"`
	Status     omni.Status     `json:"status"`
	ReplyTo    *uuid.UUID      `json:"replyTo,omitempty"`
	SendAt     *time.Time      `json:"sendAt,omitempty"`
}

// MarkOutboundStarted notes that the message's workflow exists.
func (s *Store) MarkOutboundStarted(ctx context.Context, tenant string, id uuid.UUID) error {
	return wrap(s.q.MarkOutboundStarted(ctx, dbsqlc.MarkOutboundStartedParams{TenantID: tenant, MessageID: id}),
		"noting the start of message "+id.String())
}

// UnstartedOutbound reads accepted messages, older than that, whose workflow is
// not known to exist: their process died, or Temporal was away.
func (s *Store) UnstartedOutbound(ctx context.Context, olderThan time.Duration, limit int) ([]omni.OutboundAccepted, error) {
	rows, err := s.q.UnstartedOutbound(ctx, dbsqlc.UnstartedOutboundParams{
		OlderThanSecs: olderThan.Seconds(), RowLimit: int32(limit)})
	if err != nil {
		return nil, wrap(err, "looking for messages to start")
	}
	out := make([]omni.OutboundAccepted, 0, len(rows))
	for _, r := range rows {
		out = append(out, omni.OutboundAccepted{MessageID: r.MessageID, TenantID: r.TenantID, InstanceID: r.InstanceID,
			Channel: r.Channel, ChatID: r.ChatID, Status: omni.Status(r.Status), SendAt: r.SendAt, Traceparent: r.Traceparent,
			Parts: int(r.PartCount)})
	}
	return out, nil
}

// ForgetIdempotencyKeys deletes the keys whose 24 hours are over.
func (s *Store) ForgetIdempotencyKeys(ctx context.Context) (int64, error) {
	n, err := s.q.ForgetIdempotencyKeys(ctx)
	return n, wrap(err, "forgetting idempotency keys")
}

// CancelScheduled cancels a message that waits for its time, with the event.
// omni.ErrNotScheduled where it does not wait any more.
func (s *Store) CancelScheduled(ctx context.Context, tenant string, id uuid.UUID) error {
	err := s.inTx(ctx, func(_ pgx.Tx, q *dbsqlc.Queries) error {
		// A delivery that begins right now claims the message under this lock.
		if err := q.LockChatOfMessage(ctx, id); err != nil {
			return wrap(err, "locking the chat of message "+id.String())
		}
		parts, err := cancelScheduled(ctx, q, tenant, id)
		for i := 1; i < parts && err == nil; i++ {
			// One that was cancelled by its own id is no error.
			if _, err = cancelScheduled(ctx, q, tenant, omni.OutboundPartID(id, i)); errors.Is(err, omni.ErrNotScheduled) {
				err = nil
			}
		}
		return err
	})
	if err != nil {
		return err
	}
	s.Nudge()
	return nil
}

// cancelScheduled cancels one part, with the event, and says how many parts its
// message has.
func cancelScheduled(ctx context.Context, q *dbsqlc.Queries, tenant string, id uuid.UUID) (parts int, err error) {
	row, err := q.CancelScheduled(ctx, dbsqlc.CancelScheduledParams{ID: id, TenantID: tenant})
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, omni.ErrNotScheduled
	}
	if err != nil {
		return 0, wrap(err, "cancelling message "+id.String())
	}
	return int(row.PartCount), appendEvent(ctx, q, NewEvent{
		TenantID: tenant, Type: omni.EventMessageDeleted, Subject: id.String(), InstanceID: row.InstanceID,
		Channel: row.Channel, ChatID: uuid.NullUUID{UUID: row.ChatID, Valid: true}, PersonID: row.PersonID,
		CorrelationID: row.CorrelationID, Traceparent: row.Traceparent,
		Data: map[string]any{"messageId": id, "chatId": row.ChatID, "instanceId": row.InstanceID,
			"direction": omni.DirectionOutbound, "status": omni.StatusCancelled},
	})
}
