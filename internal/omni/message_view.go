package omni

import (
	"time"

	"github.com/google/uuid"

	"github.com/omnihub/omni/channels/message"
)

// Message is a stored message as it is shown: inbound, or one part of what we
// sent.
type Message struct {
	ID            uuid.UUID       `json:"id" format:"uuid" required:"true"`
	TenantID      string          `json:"-"`
	InstanceID    uuid.UUID       `json:"instanceId" format:"uuid" required:"true"`
	Channel       string          `json:"channel" required:"true"`
	ChatID        uuid.UUID       `json:"chatId" format:"uuid" required:"true"`
	PersonID      *uuid.UUID      `json:"personId" format:"uuid"`
	Direction     Direction       `json:"direction" enum:"inbound,outbound" required:"true"`
	Kind          string          `json:"kind" doc:"message, or reaction"`
	ExternalID    string          `json:"externalId" doc:"the platform's own id"`
	Content       message.Content `json:"content" required:"true"`
	Status        Status          `json:"status" enum:"received,denied,processing,answered,ignored,paused,cancelled,failed,scheduled,queued,sending,sent,delivered,read,unknown,expired" required:"true"`
	StatusReason  string          `json:"statusReason,omitempty"`
	Access        *MessageAccess  `json:"access" doc:"how access was decided; absent until then, and for outbound messages"`
	ReplyTo       *uuid.UUID      `json:"replyTo" format:"uuid" doc:"the message this one answers"`
	TurnID        *uuid.UUID      `json:"turnId" format:"uuid" doc:"the answer this message belongs to"`
	CorrelationID *uuid.UUID      `json:"correlationId" format:"uuid" doc:"the inbound message that began it all"`
	Sender        *MessageSender  `json:"sender,omitempty" doc:"who wrote an inbound message"`
	Part          *message.Part   `json:"part,omitempty" doc:"which bubble of a reply this is"`
	Attempts      int             `json:"attempts,omitempty" doc:"how often sending was tried"`
	Error         string          `json:"error,omitempty" doc:"why sending failed"`
	SendAt        *time.Time      `json:"sendAt,omitempty" doc:"when a scheduled message goes out"`
	SentAt        *time.Time      `json:"sentAt" doc:"inbound: the platform's time; outbound: the receipt's"`
	EditedAt      *time.Time      `json:"editedAt,omitempty"`
	DeletedAt     *time.Time      `json:"deletedAt,omitempty"`
	CreatedAt     time.Time       `json:"createdAt" required:"true"`
	UpdatedAt     time.Time       `json:"updatedAt"`
}

// MessageAccess is the decision taken on an inbound message.
type MessageAccess struct {
	Decision string     `json:"decision" enum:"allow,deny,silent,pair"`
	RuleID   *uuid.UUID `json:"ruleId" format:"uuid"`
	Reason   string     `json:"reason,omitempty"`
}

// MessageSender is who wrote an inbound message, as the platform names them.
type MessageSender struct {
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
}

// MessageFilter narrows a list of messages; zero fields do not.
type MessageFilter struct {
	Within     []uuid.UUID // instances the caller may see; nil: all
	InstanceID uuid.UUID
	ChatID     uuid.UUID
	PersonID   uuid.UUID
	TurnID     uuid.UUID
	Direction  string
	Status     string
}

// Out reports whether an outbound message has left.
func (s Status) Out() bool { return s == StatusSent || s == StatusDelivered || s == StatusRead }

// Settled reports whether nothing more is going to happen to an outbound
// message by itself, but for receipts.
func (s Status) Settled() bool {
	switch s {
	case StatusSent, StatusDelivered, StatusRead, StatusFailed, StatusUnknown, StatusExpired, StatusCancelled:
		return true
	default:
		return false
	}
}
