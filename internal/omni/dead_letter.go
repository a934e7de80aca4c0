package omni

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"
)

// DeadLetter is one step that was given up on, with everything needed to go on
// from it.
type DeadLetter struct {
	ID         uuid.UUID        `json:"id" format:"uuid" required:"true"`
	TenantID   string           `json:"-"`
	InstanceID *uuid.UUID       `json:"instanceId" format:"uuid"`
	ChatID     *uuid.UUID       `json:"chatId" format:"uuid"`
	MessageID  *uuid.UUID       `json:"messageId" format:"uuid" doc:"the inbound message that was to be answered, or the outbound one that was to be sent"`
	TurnID     *uuid.UUID       `json:"turnId" format:"uuid"`
	Step       string           `json:"step" doc:"the step that was given up on" required:"true"`
	Cause      string           `json:"cause" doc:"why, in one stable word: what agents and channels call the kind of their error" required:"true"`
	Error      string           `json:"error" required:"true"`
	Attempts   int              `json:"attempts"`
	Input      json.RawMessage  `json:"input"`
	Status     DeadLetterStatus `json:"status" enum:"open,retried,resolved" doc:"open until retried or resolved; a retry that fails leaves a new one" required:"true"`
	CreatedAt  time.Time        `json:"createdAt" required:"true"`
	RetriedAt  *time.Time       `json:"retriedAt"`
	ResolvedAt *time.Time       `json:"resolvedAt"`
}

// DeadLetterStatus is where a dead letter stands.
type DeadLetterStatus string

// The statuses of dead letters.
const (
	DeadLetterOpen     DeadLetterStatus = "open"
	DeadLetterRetried  DeadLetterStatus = "retried"
	DeadLetterResolved DeadLetterStatus = "resolved"
)

// DeadLetterFilter narrows a list of dead letters; zero fields do not.
type DeadLetterFilter struct {
	Within     []uuid.UUID // instances the caller may see; nil: all
	InstanceID uuid.UUID
	ChatID     uuid.UUID
	PersonID   uuid.UUID
	Step       string
	Cause      string
	Status     string
	Until      time.Time // created before; zero: whenever
}

// RetryState is what asking to retry a dead letter came to.
type RetryState string

// The states of a retry. All but the first three change nothing.
const (
	RetryReopened RetryState = "reopened"  // committed: its workflow is to be started
	RetryUnderWay RetryState = "under_way" // retried before, and not over: starting the workflow again does no harm
	RetryPoison   RetryState = "poison"    // an event that was never recorded: to be published again
	RetryRetried  RetryState = "retried"   // retried before, and over
	RetryResolved RetryState = "resolved"
	RetryPaused   RetryState = "paused"   // a person has taken the chat over
	RetryBusy     RetryState = "busy"     // its turn is not over yet
	RetryAnswered RetryState = "answered" // there is nothing left to do
	RetryGone     RetryState = "gone"     // the instance or the chat was deleted
)

// DeadLetterRetry is a dead letter that is being retried: a turn to go on
// with, a message sent by API (no TurnID), or the poison in Input.
type DeadLetterRetry struct {
	State       RetryState
	TenantID    string
	ID          uuid.UUID // the dead letter's
	InstanceID  uuid.UUID
	Channel     string
	ChatID      uuid.UUID
	TurnID      uuid.NullUUID
	MessageID   uuid.UUID // the turn's leader, or the message to be sent (its first part)
	Parts       int       // of a message to be sent
	Epoch       int       // of the turn from now on
	WorkflowID  string    // who holds the turn from now on
	Traceparent string
	Input       json.RawMessage
}

// DeadLetterRef names a dead letter.
type DeadLetterRef struct {
	TenantID string
	ID       uuid.UUID
}
