package omni

import (
	"time"

	"github.com/google/uuid"
)

// Person is somebody, whatever accounts they write from.
type Person struct {
	ID          uuid.UUID  `json:"id" format:"uuid" required:"true"`
	TenantID    string     `json:"-"`
	DisplayName string     `json:"displayName"`
	Phone       string     `json:"phone,omitempty"`
	Email       string     `json:"email,omitempty"`
	Notes       string     `json:"notes,omitempty"`
	Labels      []string   `json:"labels,omitempty"`
	Identities  []Identity `json:"identities,omitempty" doc:"only where one person is read"`

	// PreferredIdentityID is set by people only.
	PreferredIdentityID *uuid.UUID `json:"preferredIdentityId,omitempty" format:"uuid" doc:"the account that messages to the person go to; absent: the last used"`

	CreatedAt time.Time `json:"createdAt" required:"true"`
	UpdatedAt time.Time `json:"updatedAt"`
}

// Identity is one account of a person on one instance.
type Identity struct {
	ID             uuid.UUID `json:"id" format:"uuid" required:"true"`
	InstanceID     uuid.UUID `json:"instanceId" format:"uuid" required:"true"`
	Channel        string    `json:"channel" required:"true"`
	PlatformUserID string    `json:"platformUserId" required:"true"`
	PersonID       uuid.UUID `json:"personId" format:"uuid" required:"true"`
	Name           string    `json:"name,omitempty"`
	Username       string    `json:"username,omitempty"`
	Phone          string    `json:"phone,omitempty"`
	Email          string    `json:"email,omitempty"`
	IsBot          bool      `json:"isBot,omitempty"`
	FirstSeenAt    time.Time `json:"firstSeenAt"`
	LastSeenAt     time.Time `json:"lastSeenAt"`
}

// PersonFilter narrows a list of persons; zero fields do not.
type PersonFilter struct {
	Within     []uuid.UUID // instances the caller may see; nil: all
	InstanceID uuid.UUID
	PersonID   uuid.UUID
	Query      string // part of a name, username, phone, email or platform id
}

// TimelineFilter narrows what is told of a person; zero fields do not.
type TimelineFilter struct {
	Within     []uuid.UUID // instances the caller may see; nil: all
	InstanceID uuid.UUID
	ChatID     uuid.UUID
	Type       string // of the content
	Direction  string
	Since      *time.Time // inclusive
	Until      *time.Time // exclusive
}
