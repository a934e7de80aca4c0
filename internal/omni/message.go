package omni

import (
	"time"

	"github.com/google/uuid"

	"github.com/omnihub/omni/channels/message"
)

// Status is where a message stands.
type Status string

// The statuses of inbound messages.
const (
	StatusReceived   Status = "received"
	StatusDenied     Status = "denied"
	StatusProcessing Status = "processing"
	StatusAnswered   Status = "answered"
	StatusIgnored    Status = "ignored" // recorded, not triggered
	StatusPaused     Status = "paused"
	StatusCancelled  Status = "cancelled" // outbound too
	StatusFailed     Status = "failed"    // outbound too
)

// The statuses of outbound messages.
const (
	StatusScheduled Status = "scheduled"
	StatusQueued    Status = "queued"
	StatusSending   Status = "sending"
	StatusSent      Status = "sent"
	StatusDelivered Status = "delivered"
	StatusRead      Status = "read"
	StatusUnknown   Status = "unknown"
	StatusExpired   Status = "expired"
)

// Direction of a message.
type Direction string

// The directions.
const (
	DirectionInbound  Direction = "inbound"
	DirectionOutbound Direction = "outbound"
)

// Envelope is one event on stream CHANNEL: the raw platform payload, what the
// channel made of it, and the ids that are fixed from here on. It is the data
// of the CloudEvent of type channel.inbound.
type Envelope struct {
	MessageID  uuid.UUID       `json:"messageId"`
	TenantID   string          `json:"tenantId"`
	InstanceID uuid.UUID       `json:"instanceId"`
	Channel    string          `json:"channel"`
	ReceivedAt time.Time       `json:"receivedAt"`
	Event      message.Inbound `json:"event"`
	Raw        []byte          `json:"raw,omitempty"` // the platform's payload, cut at 64 KiB; base64 in JSON

	Seq         uint64     `json:"-"` // position in the stream: the order of the chat
	Admission   *Admission `json:"-"` // nil: nothing is decided yet
	Traceparent string     `json:"-"` // from the NATS header
}

// ChatID of the envelope.
func (e *Envelope) ChatID() uuid.UUID { return ChatID(e.InstanceID, e.Event.Chat.ID) }

// ExternalKey of the envelope.
func (e *Envelope) ExternalKey() string { return ExternalKey(e.Event) }
