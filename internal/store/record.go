package store

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"sort"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
)

// Record stores a batch of inbound events in one transaction and one round
// trip: identities, persons, chats, messages and their events, each written
// only if it was not there. With floor > 0 it also says that every event of
// stream CHANNEL up to that sequence is recorded. An error means that nothing
// was written but whose the accounts are: see claim.
func (s *Store) Record(ctx context.Context, batch []omni.Envelope, floor uint64) error {
	sorted := make([]*omni.Envelope, len(batch))
	for i := range batch {
		sorted[i] = &batch[i]
	}
	sort.SliceStable(sorted, func(i, j int) bool { return recordsBefore(sorted[i], sorted[j]) })

	if err := s.claim(ctx, sorted); err != nil {
		return err
	}
	var b pgx.Batch
	persons, err := queueRecords(&b, sorted)
	if err != nil {
		return err
	}
	if floor > 0 {
		b.Queue(`INSERT INTO ingest_floor (stream, floor) VALUES ('CHANNEL', $1)
			ON CONFLICT (stream) DO UPDATE SET floor = greatest(ingest_floor.floor, excluded.floor)`, int64(floor))
	}
	if b.Len() == 0 {
		return nil
	}
	// A pipeline with one sync is one transaction.
	if err := s.pool.SendBatch(ctx, &b).Close(); err != nil {
		return fmt.Errorf("recording %d events: %w", len(batch), err)
	}
	s.remember(sorted, persons)
	s.Nudge()
	return nil
}

// remember keeps what this call recorded for the steps that come next, most
// often in this process and within milliseconds.
func (s *Store) remember(recorded []*omni.Envelope, persons map[uuid.UUID]uuid.NullUUID) {
	for _, e := range recorded {
		person, fresh := persons[e.MessageID]
		if !fresh || e.Admission == nil || !e.Admission.Begins {
			continue
		}
		m := omni.NewInboundMessage(e)
		m.PersonID, m.Access = person, e.Admission.Access
		s.inbound.Set(e.MessageID, m)
	}
}

// recordsBefore sorts by chat and key, so that two writers take row locks in
// the same order; within a chat the stream's order stands.
func recordsBefore(a, b *omni.Envelope) bool {
	ca, cb := a.ChatID(), b.ChatID()
	if c := bytes.Compare(ca[:], cb[:]); c != 0 {
		return c < 0
	}
	return a.Seq < b.Seq
}

// queueRecords queues what records a batch. The map is filled when it has run:
// the messages that were not there before, with their persons.
func queueRecords(b *pgx.Batch, sorted []*omni.Envelope) (map[uuid.UUID]uuid.NullUUID, error) {
	persons := map[uuid.UUID]uuid.NullUUID{}
	var rows []messageRow
	var rest []*omni.Envelope
	for _, e := range sorted {
		switch e.Event.Kind {
		case message.KindMessage, message.KindReaction:
			rows = append(rows, newMessageRow(e))
		default:
			rest = append(rest, e)
		}
	}
	if len(rows) > 0 {
		p, err := json.Marshal(rows)
		if err != nil {
			return nil, fmt.Errorf("encoding %d messages: %w", len(rows), err)
		}
		b.Queue(`SELECT message_id, person_id FROM record_messages($1)`, p).Query(func(rows pgx.Rows) error {
			var message uuid.UUID
			var person uuid.NullUUID
			_, err := pgx.ForEachRow(rows, []any{&message, &person}, func() error {
				persons[message] = person
				return nil
			})
			return err
		})
	}
	for _, e := range rest {
		if err := queueOther(b, e); err != nil {
			return nil, err
		}
	}
	return persons, nil
}

// queueOther applies what is not a message of its own. Typing and presence are
// not recorded.
func queueOther(b *pgx.Batch, e *omni.Envelope) error {
	switch e.Event.Kind {
	case message.KindEdit, message.KindDelete:
		p, err := json.Marshal(newAmendmentRow(e))
		if err != nil {
			return fmt.Errorf("encoding %s %s: %w", e.Event.Kind, e.MessageID, err)
		}
		b.Queue(`SELECT record_amendment($1)`, p)
	case message.KindRead, message.KindDelivered:
		b.Queue(`SELECT record_receipt($1, $2, $3, $4, $5)`, e.TenantID, e.InstanceID, e.Event.TargetID,
			string(e.Event.Kind), e.Traceparent)
	}
	return nil
}

// messageRow is one element of record_messages' argument.
type messageRow struct {
	MessageID       uuid.UUID           `json:"message_id"`
	TenantID        string              `json:"tenant_id"`
	InstanceID      uuid.UUID           `json:"instance_id"`
	Channel         string              `json:"channel"`
	ChatID          uuid.UUID           `json:"chat_id"`
	ChatExternalID  string              `json:"chat_external_id"`
	ChatType        message.ChatType    `json:"chat_type"`
	ChatName        string              `json:"chat_name"`
	IdentityID      *uuid.UUID          `json:"identity_id"`
	FirstPersonID   *uuid.UUID          `json:"first_person_id"`
	PlatformUserID  string              `json:"platform_user_id"`
	SenderName      string              `json:"sender_name"`
	Username        string              `json:"username"`
	Phone           string              `json:"phone"`
	Email           string              `json:"email"`
	IsBot           bool                `json:"is_bot"`
	FromMe          bool                `json:"from_me"`
	Kind            message.Kind        `json:"kind"`
	ExternalID      string              `json:"external_id"`
	ExternalKey     string              `json:"external_key"`
	Content         message.Content     `json:"content"`
	Text            string              `json:"text"`
	Status          omni.Status         `json:"status"`
	StatusReason    string              `json:"status_reason"`
	Access          *accessRow          `json:"access"`
	Facts           omni.MessageFacts   `json:"facts"`
	ReplyTo         *uuid.UUID          `json:"reply_to"`
	ReplyToExternal string              `json:"reply_to_external"`
	Seq             uint64              `json:"seq"`
	SentAt          time.Time           `json:"sent_at"`
	ReceivedAt      time.Time           `json:"received_at"`
	Traceparent     string              `json:"traceparent"`
	Data            messageReceivedData `json:"data"`
	EventType       omni.EventType      `json:"event_type"`
}

// accessRow is a decision that was no question.
type accessRow struct {
	Decision string `json:"decision"`
	Reason   string `json:"reason"`
	Mode     string `json:"mode"`
}

// messageReceivedData is the data of message.received and message.reaction;
// the database adds personId and the step's figures.
type messageReceivedData struct {
	MessageID  uuid.UUID       `json:"messageId"`
	ChatID     uuid.UUID       `json:"chatId"`
	InstanceID uuid.UUID       `json:"instanceId"`
	Direction  omni.Direction  `json:"direction"`
	ExternalID string          `json:"externalId"`
	Kind       message.Kind    `json:"kind"`
	Chat       message.Chat    `json:"chat"`
	Sender     message.Sender  `json:"sender"`
	Content    message.Content `json:"content"`
	TargetID   string          `json:"targetId,omitempty"`
	ReplyTo    string          `json:"replyTo,omitempty"`
	SentAt     time.Time       `json:"sentAt"`
	ReceivedAt time.Time       `json:"receivedAt"`
}

func newMessageRow(e *omni.Envelope) messageRow {
	in := &e.Event
	row := messageRow{
		MessageID: e.MessageID, TenantID: e.TenantID, InstanceID: e.InstanceID, Channel: e.Channel,
		ChatID: e.ChatID(), ChatExternalID: in.Chat.ID, ChatType: in.Chat.Type, ChatName: in.Chat.Name,
		PlatformUserID: in.Sender.ID, SenderName: in.Sender.Name, Username: in.Sender.Username, Phone: in.Sender.Phone,
		Email: in.Sender.Email, IsBot: in.Sender.IsBot, FromMe: in.IsFromMe, Kind: in.Kind, ExternalID: in.ID,
		ExternalKey: e.ExternalKey(), Content: in.Content, Text: in.Content.Text, Status: omni.StatusReceived,
		Facts: omni.FactsOf(in), Seq: e.Seq, SentAt: in.Timestamp, ReceivedAt: e.ReceivedAt, Traceparent: e.Traceparent,
		EventType: omni.EventMessageReceived,
		Data: messageReceivedData{MessageID: e.MessageID, ChatID: e.ChatID(), InstanceID: e.InstanceID,
			Direction: omni.DirectionInbound, ExternalID: in.ID, Kind: in.Kind, Chat: in.Chat, Sender: in.Sender,
			Content: in.Content, TargetID: in.TargetID, ReplyTo: in.ReplyTo, SentAt: in.Timestamp, ReceivedAt: e.ReceivedAt},
	}
	if row.ChatType == "" {
		row.ChatType = message.ChatDM
	}
	if in.Sender.ID != "" {
		identity := omni.IdentityID(e.InstanceID, in.Sender.ID)
		person := omni.FirstPersonID(identity)
		row.IdentityID, row.FirstPersonID = &identity, &person
	}
	if in.ReplyTo != "" {
		id := omni.TargetMessageID(e.InstanceID, in.ReplyTo)
		row.ReplyTo, row.ReplyToExternal = &id, in.ReplyTo
	}
	if a := e.Admission; a != nil && a.Status != "" {
		row.Status, row.StatusReason = a.Status, a.Reason
		if a.Access != nil {
			row.Access = &accessRow{Decision: a.Access.Decision, Reason: a.Access.Reason, Mode: a.Access.Mode}
		}
	}
	switch {
	case in.Kind == message.KindReaction:
		id := omni.TargetMessageID(e.InstanceID, in.TargetID)
		row.ReplyTo, row.ReplyToExternal = &id, in.TargetID
		row.EventType, row.Text = omni.EventMessageReaction, row.Facts.Emoji
		if e.Admission == nil {
			row.Status = omni.StatusIgnored
		}
	case in.IsFromMe:
		// The operator wrote it on the platform itself.
		row.EventType, row.Status, row.Data.Direction = omni.EventMessageSent, omni.StatusSent, omni.DirectionOutbound
	}
	return row
}

// amendmentRow is the argument of record_amendment.
type amendmentRow struct {
	EventID          uuid.UUID        `json:"event_id"`
	TenantID         string           `json:"tenant_id"`
	InstanceID       uuid.UUID        `json:"instance_id"`
	Channel          string           `json:"channel"`
	ChatID           uuid.UUID        `json:"chat_id"`
	ChatExternalID   string           `json:"chat_external_id"`
	ChatType         message.ChatType `json:"chat_type"`
	ChatName         string           `json:"chat_name"`
	TargetID         uuid.UUID        `json:"target_id"`
	TargetExternalID string           `json:"target_external_id"`
	Delete           bool             `json:"delete"`
	Content          *message.Content `json:"content"`
	Text             string           `json:"text"`
	At               time.Time        `json:"at"`
	Traceparent      string           `json:"traceparent"`
}

func newAmendmentRow(e *omni.Envelope) amendmentRow {
	in := &e.Event
	row := amendmentRow{
		EventID: e.MessageID, TenantID: e.TenantID, InstanceID: e.InstanceID, Channel: e.Channel, ChatID: e.ChatID(),
		ChatExternalID: in.Chat.ID, ChatType: in.Chat.Type, ChatName: in.Chat.Name,
		TargetID: omni.TargetMessageID(e.InstanceID, in.TargetID), TargetExternalID: in.TargetID,
		Delete: in.Kind == message.KindDelete, At: in.Timestamp, Traceparent: e.Traceparent,
	}
	if row.ChatType == "" {
		row.ChatType = message.ChatDM
	}
	if !row.Delete {
		row.Content, row.Text = &in.Content, in.Content.Text
	}
	return row
}
