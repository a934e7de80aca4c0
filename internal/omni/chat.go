package omni

import (
	"time"

	"github.com/google/uuid"

	"github.com/omnihub/omni/channels/message"
)

// Chat is one conversation of an instance.
type Chat struct {
	ID            uuid.UUID        `json:"id" format:"uuid" required:"true"`
	TenantID      string           `json:"-"`
	InstanceID    uuid.UUID        `json:"instanceId" format:"uuid" required:"true"`
	Channel       string           `json:"channel" required:"true"`
	ExternalID    string           `json:"externalId" doc:"the platform's own id" required:"true"`
	Type          message.ChatType `json:"type" enum:"dm,group"`
	Name          string           `json:"name"`
	PersonID      *uuid.UUID       `json:"personId" format:"uuid" doc:"who a dm is with"`
	Paused        bool             `json:"paused" doc:"a person has taken over: the agent is silent"`
	PausedUntil   *time.Time       `json:"pausedUntil" doc:"null while paused: until resumed"`
	SessionEpoch  int              `json:"sessionEpoch" doc:"how often the conversation with the agent was begun anew"`
	LastMessageAt *time.Time       `json:"lastMessageAt"`
	CreatedAt     time.Time        `json:"createdAt" required:"true"`
	UpdatedAt     time.Time        `json:"updatedAt"`
}

// ChatRef names a chat.
type ChatRef struct {
	ID, InstanceID uuid.UUID
}

// ChatFilter narrows a list of chats; zero fields do not.
type ChatFilter struct {
	Within     []uuid.UUID // instances the caller may see; nil: all
	InstanceID uuid.UUID
	ChatID     uuid.UUID
	PersonID   uuid.UUID
	Type       string
	Paused     *bool
}

// Takeover is a person taking a chat over.
type Takeover struct {
	Until  *time.Time // nil: until resumed
	Reason string
	By     string // who, for people
}

// OwnMessage is what became of a message that the account itself wrote.
type OwnMessage struct {
	State     string      // an OwnMessage constant
	Cancelled []uuid.UUID // turns that the takeover cancelled
}

// The states of OwnMessage.
const (
	OwnMessageOurs     = "ours"     // one of our sends, come back
	OwnMessageKnown    = "known"    // recorded before
	OwnMessageWait     = "wait"     // a send under way may be this: ask again
	OwnMessageRecorded = "recorded" // the operator wrote it
)
