package omni

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/omnihub/omni/channels/message"
)

// PersonAddress is an account of a person that can be written to.
type PersonAddress struct {
	IdentityID     uuid.UUID
	InstanceID     uuid.UUID
	PlatformUserID string
	Name           string
	Chat           *message.Chat // the one with this account alone; nil: none is known
	Connected      bool          // messages leave now
	Disabled       bool          // the instance was disconnected by call: it sends nothing until it is connected again
	UsedAt         *time.Time    // of the last message from it; nil: none of late
	LastSeenAt     time.Time
}

// SortAddresses puts the account first that a message to the person goes to:
// what somebody preferred, else what the person used last, else what was seen
// last. But what is not connected comes after what is.
func SortAddresses(all []PersonAddress, preferred *uuid.UUID) {
	slices.SortStableFunc(all, func(a, b PersonAddress) int {
		return cmp.Or(
			first(a.Connected, b.Connected),
			first(!a.Disabled, !b.Disabled),
			first(preferred != nil && a.IdentityID == *preferred, preferred != nil && b.IdentityID == *preferred),
			first(a.UsedAt != nil, b.UsedAt != nil),
			timeOrZero(b.UsedAt).Compare(timeOrZero(a.UsedAt)),
			b.LastSeenAt.Compare(a.LastSeenAt),
			bytes.Compare(a.IdentityID[:], b.IdentityID[:]),
		)
	})
}

// first orders what is before what is not.
func first(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	default:
		return 1
	}
}

func timeOrZero(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}
