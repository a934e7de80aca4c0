package activities

import (
	"time"

	"github.com/google/uuid"
	"go.temporal.io/sdk/workflow"
)

// MessageRef names one inbound message: ids only, nothing private.
type MessageRef struct {
	TenantID    string    `json:"tenant_id"`
	InstanceID  uuid.UUID `json:"instance_id"`
	Channel     string    `json:"channel"`
	ChatID      uuid.UUID `json:"chat_id"`
	MessageID   uuid.UUID `json:"message_id"`
	Seq         uint64    `json:"seq"`
	Traceparent string    `json:"traceparent,omitempty"`
}

// ResolveInput is the input of identity.Resolve.
type ResolveInput struct {
	Message MessageRef `json:"message"`
}

// ResolveOutput is the output of identity.Resolve. Outcome is set where the
// message was dealt with already; Turn then is the turn it led, if any, whose
// side effects may still be owed.
type ResolveOutput struct {
	PersonID uuid.UUID     `json:"person_id"`
	Outcome  string        `json:"outcome,omitempty"`
	Turn     uuid.NullUUID `json:"turn"`
	Epoch    int           `json:"epoch,omitempty"`
}

// Resolve runs identity.Resolve.
func Resolve(ctx workflow.Context, in ResolveInput) (ResolveOutput, error) {
	return runLocal[ResolveOutput](local(ctx), IdentityResolve, in)
}

// CheckInput is the input of access.Check.
type CheckInput struct {
	Message  MessageRef `json:"message"`
	PersonID uuid.UUID  `json:"person_id"`
}

// Decision of access.Check.
type Decision string

// The decisions.
const (
	Allow  Decision = "allow"
	Deny   Decision = "deny"
	Silent Decision = "silent"
	Pair   Decision = "pair"
)

// CheckOutput is the output of access.Check.
type CheckOutput struct {
	Decision Decision      `json:"decision"`
	RuleID   uuid.NullUUID `json:"rule_id"`

	// MediaAnyway: the message is denied, but the instance wants its
	// attachments processed all the same.
	MediaAnyway bool `json:"media_anyway,omitempty"`
}

// Check runs access.Check.
func Check(ctx workflow.Context, in CheckInput) (CheckOutput, error) {
	return runLocal[CheckOutput](local(ctx), AccessCheck, in)
}

// TurnState is what a turn.* call says is true for the message.
type TurnState string

// The states.
const (
	StateLeader    TurnState = "leader"    // collecting, and this workflow leads
	StateFollower  TurnState = "follower"  // the leader answers
	StateClosed    TurnState = "closed"    // answering, and this workflow leads
	StateWait      TurnState = "wait"      // not quiet yet: ask again after Wait
	StateBehind    TurnState = "behind"    // another turn of the chat answers: wait to be woken
	StateFinished  TurnState = "finished"  // has an outcome
	StateCancelled TurnState = "cancelled" // taken over by a person, or interrupted
	StateAdopted   TurnState = "adopted"   // another workflow goes on with it
	StatePaused    TurnState = "paused"    // a person talks in this chat
	StateIgnored   TurnState = "ignored"   // recorded, not triggered
	StateAwaiting  TurnState = "awaiting"  // answering; the agent has accepted the turn and will answer later
)

// TurnView is what every turn.* call returns: the turn as this workflow must
// see it now.
type TurnView struct {
	State    TurnState     `json:"state"`
	TurnID   uuid.NullUUID `json:"turn_id"`
	Epoch    int           `json:"epoch,omitempty"`
	Leader   uuid.NullUUID `json:"leader"`
	Wait     time.Duration `json:"wait,omitempty"`    // StateWait, StateLeader: until the next turn.Close
	Outcome  string        `json:"outcome,omitempty"` // StateFinished
	Messages int           `json:"messages,omitempty"`
	Agent    string        `json:"agent,omitempty"` // who answers, as in TurnRef

	// Interrupt is the turn that turn.Join found answering where the instance
	// interrupts: turn.Yield is next.
	Interrupt uuid.NullUUID `json:"interrupt,omitzero"`

	// Media is how many attachments of the message are to be fetched
	// (turn.Join): media.Fetch is next, and turn.Ready after it.
	Media int `json:"media,omitempty"`

	// How to call the agent, fixed when the turn closes (StateClosed).
	QuickAgent    bool          `json:"quick_agent,omitempty"`
	AgentTimeout  time.Duration `json:"agent_timeout,omitempty"`
	AgentRetryFor time.Duration `json:"agent_retry_for,omitempty"`
	AgentHere     bool          `json:"agent_here,omitempty"` // this process calls agents: no need to hand the call over
	Process       string        `json:"process,omitempty"`    // the name of this process
	Answered      bool          `json:"answered,omitempty"`   // the answer is stored: go on with its parts
}

// JoinInput is the input of turn.Join.
type JoinInput struct {
	Message    MessageRef `json:"message"`
	PersonID   uuid.UUID  `json:"person_id"`
	WorkflowID string     `json:"workflow_id"`
}

// Join runs turn.Join.
func Join(ctx workflow.Context, in JoinInput) (TurnView, error) {
	return runLocal[TurnView](local(ctx), TurnJoin, in)
}
