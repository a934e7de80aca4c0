package omni

import (
	"time"

	"github.com/google/uuid"

	"github.com/omnihub/omni/channels/message"
)

// InboundMessage is what the first steps of the pipeline need of a message.
type InboundMessage struct {
	ID       uuid.UUID
	PersonID uuid.NullUUID
	Status   Status
	Kind     message.Kind
	FromMe   bool
	SenderID string // the platform's
	Text     string

	// TargetExternalID is the platform's id of the message that it answers, or
	// reacts to.
	TargetExternalID string

	Content message.Content
	Facts   MessageFacts
	SentAt  time.Time // the platform's time

	Access   *AccessDecision // nil: not decided yet
	Question *AccessQuestion // nil: decided, or not read with the message
}
