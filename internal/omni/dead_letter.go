package omni

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"
)

// DeadLetter is one step that was given up on, with everything needed to go on
// from it.
type DeadLetter struct {
	ID         uuid.UUID       `json:"id" format:"uuid" required:"true"`
	TenantID   string          `json:"-"`
	InstanceID *uuid.UUID      `json:"instanceId" format:"uuid"`
	ChatID     *uuid.UUID      `json:"chatId" format:"uuid"`
	MessageID  *uuid.UUID      `json:"messageId" format:"uuid"`
	TurnID     *uuid.UUID      `json:"turnId" format:"uuid"`
	Step       string          `json:"step" required:"true"`
	Error      string          `json:"error" required:"true"`
	Attempts   int             `json:"attempts"`
	Input      json.RawMessage `json:"input"`
	Status     string          `json:"status" doc:"open until retried or resolved" required:"true"`
	CreatedAt  time.Time       `json:"createdAt" required:"true"`
	ResolvedAt *time.Time      `json:"resolvedAt"`
}

// DeadLetterFilter narrows a list of dead letters; zero fields do not.
type DeadLetterFilter struct {
	Within     []uuid.UUID // instances the caller may see; nil: all
	InstanceID uuid.UUID
	ChatID     uuid.UUID
	PersonID   uuid.UUID
	Step       string
	Status     string
}
