package omni

import (
	"time"

	"github.com/google/uuid"
)

// TurnOwner is whose a turn is, and who answers it.
type TurnOwner struct {
	InstanceID uuid.UUID
	Channel    string
	Agent      string // InstanceAgent or an agent's id
}

// TurnWait is a turn that waits for an answer which its agent sends by a call
// of its own. State is a TurnState: "closed" with Parts once it is answered,
// "awaiting" (look again after Wait), TurnLate, or what else is true of it.
type TurnWait struct {
	State string
	Parts *int
	Wait  time.Duration
}

// TurnLate is the state of a turn whose agent has not answered in its time.
const TurnLate = "late"

// TurnReply is what became of an agent's own call. WorkflowID is to be woken.
type TurnReply struct {
	State      TurnReplyState
	Parts      int
	WorkflowID string
}

// TurnReplyState says what became of an agent's own call.
type TurnReplyState string

// What may become of it.
const (
	ReplyAccepted  TurnReplyState = "accepted"
	ReplyDuplicate TurnReplyState = "duplicate" // the very same reply was accepted before
	ReplyAnswered  TurnReplyState = "answered"  // by another answer
	ReplyLate      TurnReplyState = "late"      // the agent's time is over
	ReplyOver      TurnReplyState = "over"      // the turn ended without an answer
	ReplyNotAsked  TurnReplyState = "not_asked" // no agent that answers later was asked
	ReplyUnknown   TurnReplyState = "unknown"   // no such turn
)

// ProviderWebhook is the provider whose agents may answer later.
const ProviderWebhook = "webhook"

// DeliverWithin is how long after its answer a turn is suspect unless a sender
// has begun.
const DeliverWithin = 60 * time.Second
