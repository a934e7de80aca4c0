package omni

import (
	"time"

	"github.com/google/uuid"
)

// PendingFollowUp is a follow-up that waits for its time.
type PendingFollowUp struct {
	TurnID     uuid.UUID // the turn that was answered
	N          int       // which of the instance's follow-ups, from 0
	TenantID   string
	InstanceID uuid.UUID
	Channel    string
	ChatID     uuid.UUID
	Leader     uuid.UUID
	DueAt      time.Time
	Armed      bool // its workflow was started
}

// FollowUpClaim are the parameters of ClaimFollowUp.
type FollowUpClaim struct {
	ChatID     uuid.UUID
	TurnID     uuid.UUID // the turn that was answered
	N          int
	WorkflowID string
	Closing    ClosingParams
	Attempt    Attempt
}
