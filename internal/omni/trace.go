package omni

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"
)

// Trace is everything that happened to a message, from the webhook to the last
// receipt.
type Trace struct {
	MessageID     uuid.UUID       `json:"messageId" format:"uuid" required:"true"`
	CorrelationID uuid.UUID       `json:"correlationId" format:"uuid" required:"true"`
	Status        Status          `json:"status" required:"true"`
	TurnID        *uuid.UUID      `json:"turnId" format:"uuid"`
	LeaderID      *uuid.UUID      `json:"leaderId" format:"uuid" doc:"the message that leads the turn; its steps are listed here too"`
	Steps         []TraceStep     `json:"steps" required:"true" nullable:"false"`
	Workflows     []TraceWorkflow `json:"workflows" required:"true" nullable:"false"`
	Replies       []uuid.UUID     `json:"replies" doc:"the outbound messages of the turn, in order" required:"true" nullable:"false"`
}

// TraceStep is one step on a message's way.
type TraceStep struct {
	Name       string          `json:"name" doc:"a step of the pipeline (identity.Resolve), or the event that stands for one" required:"true"`
	Status     string          `json:"status" enum:"completed,failed" required:"true"`
	StartedAt  time.Time       `json:"startedAt" required:"true"`
	DurationMs float64         `json:"durationMs"`
	Attempts   int             `json:"attempts"`
	Error      string          `json:"error"`
	Detail     TraceStepDetail `json:"detail"`
}

// TraceStepDetail says where the step is written down.
type TraceStepDetail struct {
	EventIDs   []uuid.UUID     `json:"eventIds,omitempty" doc:"the events that the step wrote"`
	EventTypes []string        `json:"eventTypes,omitempty"`
	MessageID  *uuid.UUID      `json:"messageId,omitempty" format:"uuid" doc:"the message acted on, where it is another one"`
	Part       json.RawMessage `json:"part,omitempty" doc:"which bubble of a reply"`
	Actions    json.RawMessage `json:"actions,omitempty" doc:"what the agent wanted done; with a problem: what was not"`
	Gate       json.RawMessage `json:"gate,omitempty" doc:"what the agent's gate decided"`
	Usage      json.RawMessage `json:"usage,omitempty" doc:"what the call of the agent took, in tokens"`
	Cost       json.RawMessage `json:"cost,omitempty"`
	Truncated  bool            `json:"truncated,omitempty" doc:"the model's answer ended where it was as long as it may be (agent.maxTokens)"`

	// Of access.Check.
	Decision string     `json:"decision,omitempty" enum:"allow,deny,silent,pair"`
	RuleID   *uuid.UUID `json:"ruleId,omitempty" format:"uuid" doc:"the rule that decided"`
	Reason   string     `json:"reason,omitempty"`
}

// TraceWorkflow is one durable workflow that worked for the message.
type TraceWorkflow struct {
	ID     string `json:"id" required:"true"`
	RunID  string `json:"runId"`
	Type   string `json:"type"`
	Status string `json:"status" doc:"as Temporal names it; empty while it is not known there"`
	URL    string `json:"url" doc:"of its page in Temporal's UI"`
}

// TurnTrace is what a trace needs to know of a turn.
type TurnTrace struct {
	ID         uuid.UUID
	LeaderID   uuid.UUID
	WorkflowID string // who holds it now
	State      string
	Epoch      int // how often it changed hands
	CreatedAt  time.Time
}
