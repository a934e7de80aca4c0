package omni

import (
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/omnihub/omni/channels/message"
)

// ErrKeyReused says that an idempotency key was used for another request.
var ErrKeyReused = errors.New("the idempotency key was used for another request")

// ErrNotScheduled says that a message is not waiting for its time any more.
var ErrNotScheduled = errors.New("the message is not scheduled")

// ErrDisconnected says that a message is for an instance that was disconnected
// by call: nothing is sent there until it is connected again.
var ErrDisconnected = errors.New("the instance is disconnected")

// OutboundDraft is a message that somebody wants sent, ready to be stored.
type OutboundDraft struct {
	ID          uuid.UUID // derived from the key
	TenantID    string
	InstanceID  uuid.UUID
	Channel     string
	Chat        message.Chat // by the platform's id; stored if it is new
	PersonID    *uuid.UUID
	Content     message.Content
	Rest        []message.Content // the further parts of a text that is longer than one
	ReplyTo     *uuid.UUID
	ReplyToExt  string     // its platform id
	SendAt      *time.Time // nil: now
	KeyHash     []byte
	BodyHash    []byte
	Traceparent string

	Refuse error // why it is not accepted, unless it was before; nil: it is
}

// OutboundAccepted is a message that is stored and will be sent.
type OutboundAccepted struct {
	MessageID   uuid.UUID
	TenantID    string
	InstanceID  uuid.UUID
	Channel     string
	ChatID      uuid.UUID
	To          string // the platform's id of the chat; only of what was just accepted
	Status      Status
	SendAt      *time.Time
	Traceparent string
	Parts       int  // how many there are; 0 counts as 1
	Started     bool // its workflow is known to exist
	Repeated    bool // the key had been used for the same request
}
