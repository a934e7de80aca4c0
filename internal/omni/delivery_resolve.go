package omni

import "github.com/google/uuid"

// ResolveState says what a person's word on an unknown outcome did.
type ResolveState string

// The states. All but the first change nothing.
const (
	ResolveResolved ResolveState = "resolved"
	ResolveSettled  ResolveState = "settled" // the outcome is not unknown
	ResolvePaused   ResolveState = "paused"  // to be sent again, but a person has taken the chat over
)

// The outcomes that a person may name.
const (
	ResolveSent   = "sent"
	ResolveFailed = "failed"
	ResolveResend = "resend"
)

// DeliveryResolution is what follows from a person's word on a message: a turn
// to go on with, or (no TurnID, status queued) a message sent by API.
type DeliveryResolution struct {
	State       ResolveState
	Status      Status // of the message now
	TenantID    string
	InstanceID  uuid.UUID
	Channel     string
	ChatID      uuid.UUID
	TurnID      uuid.NullUUID // it was reopened: its workflow is to be started
	MessageID   uuid.UUID     // the turn's leader, or the message itself
	Epoch       int
	WorkflowID  string
	Traceparent string
	Uncertain   int // times that it was sent again without knowing
}
