package omni

import "github.com/google/uuid"

// ResolveState says what a person's word on an unknown outcome did.
type ResolveState string

// The states. All but the first change nothing.
const (
	ResolveResolved ResolveState = "resolved"
	ResolveSettled  ResolveState = "settled" // the outcome is not unknown
	ResolvePaused   ResolveState = "paused"  // to be sent again, but a person has taken the chat over
	ResolveBusy     ResolveState = "busy"    // other parts of the message are under way
)

// The outcomes that a person may name.
const (
	ResolveSent   = "sent"
	ResolveFailed = "failed"
	ResolveResend = "resend"
)

// DeliveryResolution is what follows from a person's word on a message: a turn
// to go on with, or a message sent by API.
type DeliveryResolution struct {
	State       ResolveState
	Status      Status // of the message now
	TenantID    string
	InstanceID  uuid.UUID
	Channel     string
	ChatID      uuid.UUID
	TurnID      uuid.NullUUID // it was reopened: its workflow is to be started
	MessageID   uuid.UUID     // the turn's leader, or the message's first part
	Epoch       int
	WorkflowID  string
	Traceparent string
	Resumption  uuid.NullUUID // the message goes on: its workflow is to be started
	Parts       int           // of the message
}

// OutboundResumption is a message sent by API that goes on, and whose workflow
// is not known to exist.
type OutboundResumption struct {
	ID          uuid.UUID
	TenantID    string
	InstanceID  uuid.UUID
	Channel     string
	ChatID      uuid.UUID
	MessageID   uuid.UUID // the first part
	Parts       int
	Traceparent string
}
