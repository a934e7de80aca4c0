package workflows

import (
	"time"

	"github.com/google/uuid"
)

// MessageInput starts a Message workflow. It carries ids and the place in the
// stream, nothing private.
type MessageInput struct {
	TenantID    string    `json:"tenant_id"`
	InstanceID  uuid.UUID `json:"instance_id"`
	Channel     string    `json:"channel"`
	ChatID      uuid.UUID `json:"chat_id"`
	MessageID   uuid.UUID `json:"message_id"`
	Kind        string    `json:"kind"`
	Seq         uint64    `json:"seq"`         // stream sequence: the order of the chat
	ExternalID  string    `json:"external_id"` // the platform's id, for the search attribute
	ReceivedAt  time.Time `json:"received_at"`
	Traceparent string    `json:"traceparent,omitempty"`
	MediaCount  int       `json:"media_count,omitempty"`
}

// OutboundInput starts an Outbound workflow. The rows exist already.
type OutboundInput struct {
	TenantID    string    `json:"tenant_id"`
	InstanceID  uuid.UUID `json:"instance_id"`
	Channel     string    `json:"channel"`
	ChatID      uuid.UUID `json:"chat_id"`
	MessageID   uuid.UUID `json:"message_id"` // of the first part
	Traceparent string    `json:"traceparent,omitempty"`
	Parts       int       `json:"parts,omitempty"` // 0 counts as 1
}
