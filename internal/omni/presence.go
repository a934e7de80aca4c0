package omni

import (
	"time"

	"github.com/google/uuid"
)

// PresenceFor is how long a channel's word holds that somebody is connected: it
// says so again while they are.
const PresenceFor = time.Minute

// PresenceMark is what a channel last said of an account.
type PresenceMark struct {
	Online bool
	At     time.Time // when it said so; zero: it has said nothing of late
}

// PresenceStatus says whether somebody is there.
type PresenceStatus string

// Online is said by a channel that knows, or by somebody who types; offline only
// by a channel that knows.
const (
	PresenceOnline  PresenceStatus = "online"
	PresenceOffline PresenceStatus = "offline"
	PresenceUnknown PresenceStatus = "unknown"
)

// Presence is whether a person is there now, and when they last were.
type Presence struct {
	PersonID   uuid.UUID         `json:"personId" format:"uuid" required:"true"`
	Status     PresenceStatus    `json:"status" enum:"online,offline,unknown" required:"true" doc:"online on any account; offline where no account may be online unknown to us"`
	Online     bool              `json:"online"`
	Typing     bool              `json:"typing"`
	LastSeenAt *time.Time        `json:"lastSeenAt" doc:"when any account last wrote, typed or left"`
	Identities []AccountPresence `json:"identities" nullable:"false"`
}

// AccountPresence is that of one account.
type AccountPresence struct {
	IdentityID     uuid.UUID      `json:"identityId" format:"uuid" required:"true"`
	InstanceID     uuid.UUID      `json:"instanceId" format:"uuid" required:"true"`
	Channel        string         `json:"channel" required:"true"`
	PlatformUserID string         `json:"platformUserId"`
	Status         PresenceStatus `json:"status" enum:"online,offline,unknown" required:"true" doc:"unknown: the channel does not say who is connected"`
	Typing         bool           `json:"typing"`
	LastSeenAt     time.Time      `json:"lastSeenAt"`
}

// NewPresence sums up accounts.
func NewPresence(person uuid.UUID, accounts []AccountPresence) *Presence {
	p := &Presence{PersonID: person, Status: PresenceUnknown, Identities: accounts}
	offline := 0
	for i := range accounts {
		a := &accounts[i]
		p.Typing = p.Typing || a.Typing
		p.Online = p.Online || a.Status == PresenceOnline
		if a.Status == PresenceOffline {
			offline++
		}
		if p.LastSeenAt == nil || a.LastSeenAt.After(*p.LastSeenAt) {
			p.LastSeenAt = &a.LastSeenAt
		}
	}
	switch {
	case p.Online:
		p.Status = PresenceOnline
	case offline > 0 && offline == len(accounts):
		p.Status = PresenceOffline
	}
	return p
}
