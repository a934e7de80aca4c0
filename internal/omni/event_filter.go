package omni

import (
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// EventFilter narrows the log; zero fields do not.
type EventFilter struct {
	Within        []uuid.UUID // instances the caller may see; nil: all
	Types         []string    // exact, or with a wildcard for the last words: "message.*"
	InstanceID    uuid.UUID
	ChatID        uuid.UUID
	PersonID      uuid.UUID
	Aliases       []uuid.UUID // all ids of the person; nil: the one
	CorrelationID uuid.UUID
	Since         time.Time // inclusive
	Until         time.Time // exclusive
	After         Position  // exclusive
}

// Matches reports whether an event passes the filter.
func (f *EventFilter) Matches(e *Event) bool {
	return f.within(e.InstanceID) && f.matchesType(string(e.Type)) &&
		(f.InstanceID == uuid.Nil || f.InstanceID == e.InstanceID) &&
		sameID(f.ChatID, e.ChatID) && f.samePerson(e.PersonID) && sameID(f.CorrelationID, e.CorrelationID) &&
		(f.Since.IsZero() || !e.Time.Before(f.Since)) && (f.Until.IsZero() || e.Time.Before(f.Until)) &&
		(f.After.IsZero() || f.After.Less(e.Position))
}

func (f *EventFilter) within(instance uuid.UUID) bool {
	if f.Within == nil {
		return true
	}
	return slices.Contains(f.Within, instance)
}

func (f *EventFilter) matchesType(t string) bool {
	if len(f.Types) == 0 {
		return true
	}
	for _, p := range f.Types {
		if MatchType(p, t) {
			return true
		}
	}
	return false
}

// MatchType reports whether an event type fits a pattern: "*" is everything,
// "message.*" every type that begins with "message.", anything else itself.
func MatchType(pattern, t string) bool {
	if head, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(t, head)
	}
	return pattern == t
}

func (f *EventFilter) samePerson(got uuid.NullUUID) bool {
	if f.Aliases != nil {
		return got.Valid && slices.Contains(f.Aliases, got.UUID)
	}
	return sameID(f.PersonID, got)
}

func sameID(want uuid.UUID, got uuid.NullUUID) bool {
	return want == uuid.Nil || got.Valid && got.UUID == want
}
