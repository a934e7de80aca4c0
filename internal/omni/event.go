package omni

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"
)

// EventType names what happened; it begins every NATS subject.
type EventType string

// The event types that Omni writes today, by stream.
const (
	// CHANNEL.
	EventChannelInbound      EventType = "channel.inbound"
	EventChannelConnected    EventType = "channel.connected"
	EventChannelDisconnected EventType = "channel.disconnected"
	EventChannelError        EventType = "channel.error"

	// MESSAGES.
	EventMessageReceived  EventType = "message.received"
	EventMessageEdited    EventType = "message.edited"
	EventMessageDeleted   EventType = "message.deleted"
	EventMessageReaction  EventType = "message.reaction"
	EventMessageSending   EventType = "message.sending"
	EventMessageSent      EventType = "message.sent"
	EventMessageDelivered EventType = "message.delivered"
	EventMessageRead      EventType = "message.read"
	EventMessageFailed    EventType = "message.failed"
	EventMessageUnknown   EventType = "message.unknown"
	EventMessageExpired   EventType = "message.expired"

	// IDENTITY.
	EventIdentityCreated   EventType = "identity.created"
	EventIdentityResolved  EventType = "identity.resolved"
	EventIdentityLinked    EventType = "identity.linked"
	EventIdentityUnlinked  EventType = "identity.unlinked"
	EventIdentityMerged    EventType = "identity.merged"
	EventMergeUndone       EventType = "identity.merge_undone"
	EventIdentitySuggested EventType = "identity.suggested"
	EventIdentityUpdated   EventType = "identity.updated" // a person's fields were changed by call

	// ACCESS.
	EventAccessChecked     EventType = "access.checked"
	EventAccessRuleCreated EventType = "access.rule_created"
	EventAccessRuleUpdated EventType = "access.rule_updated"
	EventAccessRuleDeleted EventType = "access.rule_deleted"
	EventAccessPaired      EventType = "access.paired"

	// MEDIA.
	EventMediaReceived EventType = "media.received"
	EventMediaFailed   EventType = "media.failed"

	// AGENT.
	EventAgentRequest  EventType = "agent.request"
	EventAgentResponse EventType = "agent.response"
	EventAgentError    EventType = "agent.error"
	EventTurnStarted   EventType = "turn.started"
	EventTurnCompleted EventType = "turn.completed"
	EventTurnFailed    EventType = "turn.failed"
	EventTurnCancelled EventType = "turn.cancelled"
	EventChatTakeover  EventType = "chat.takeover"
	EventChatResumed   EventType = "chat.resumed"
	EventChatReset     EventType = "chat.reset"

	EventFollowUpScheduled EventType = "followup.scheduled"
	EventFollowUpSent      EventType = "followup.sent"
	EventFollowUpCancelled EventType = "followup.cancelled"
)

// Event is one row of the log. As JSON on the outside it is a CloudEvent
// (see CloudEvent); here it is what was read.
type Event struct {
	ID            uuid.UUID
	TenantID      string
	Type          EventType
	Time          time.Time
	Subject       string
	InstanceID    uuid.UUID
	Channel       string
	ChatID        uuid.NullUUID
	PersonID      uuid.NullUUID
	CorrelationID uuid.NullUUID // the inbound message that began it all
	CausationID   uuid.NullUUID
	Traceparent   string
	DataVersion   int
	Data          json.RawMessage
	Position      Position
}
