package control

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/omnihub/omni/internal/omni"
)

// EventStore is what the events' use cases need of the store.
type EventStore interface {
	Event(ctx context.Context, tenant string, id uuid.UUID) (*omni.Event, error)
	ListEvents(ctx context.Context, tenant string, f omni.EventFilter, before omni.Position, limit int) ([]omni.Event, error)
}

// Events are the use cases around the log. Safe for concurrent use.
type Events struct{ store EventStore }

// EventQuery is a filter as a caller writes it.
type EventQuery struct {
	Types         []string // each may hold several, separated by commas
	InstanceID    uuid.UUID
	ChatID        uuid.UUID
	PersonID      uuid.UUID
	CorrelationID uuid.UUID
	Since, Until  string // a time (RFC 3339), or for Since a position
}

// Get reads one event.
func (s *Events) Get(ctx context.Context, who *omni.APIKey, id uuid.UUID) (*omni.Event, error) {
	e, err := s.store.Event(ctx, who.TenantID, id)
	if err == nil && !who.Sees(e.InstanceID) {
		err = omni.ErrNotFound
	}
	if err != nil {
		return nil, orNotFound(err, "event")
	}
	return e, nil
}

// List reads a page of events, newest first. Its cursor is a position.
func (s *Events) List(ctx context.Context, who *omni.APIKey, q EventQuery, p Paging) (*List[omni.Event], error) {
	f, err := q.Filter(who)
	if err != nil {
		return nil, err
	}
	before, err := omni.ParsePosition(p.Cursor)
	if err != nil {
		return nil, invalid("cursor", "is not one that this hub gave out")
	}
	rows, err := s.store.ListEvents(ctx, who.TenantID, f, before, p.limit()+1)
	if err != nil {
		return nil, err
	}
	out := &List[omni.Event]{Items: rows}
	if n := p.limit(); len(rows) > n {
		out.Items = rows[:n]
		out.Next = rows[n-1].Position.String()
	}
	return out, nil
}

// maxEventTypes bounds what every event that is written is held against, for
// everybody who listens. There are not as many.
const maxEventTypes = 100

var typePattern = regexp.MustCompile(`^(\*|[a-z_]+(\.[a-z_]+)*(\.?\*)?)$`)

// Filter reads the query for a caller.
func (q EventQuery) Filter(who *omni.APIKey) (omni.EventFilter, error) {
	f := omni.EventFilter{
		Within: who.InstanceIDs, InstanceID: q.InstanceID, ChatID: q.ChatID, PersonID: q.PersonID,
		CorrelationID: q.CorrelationID,
	}
	for _, group := range q.Types {
		for t := range strings.SplitSeq(group, ",") {
			if t = strings.TrimSpace(t); t == "" {
				continue
			}
			if !typePattern.MatchString(t) {
				return f, invalid("type", "must be an event type (message.received) or a pattern (message.*)")
			}
			if f.Types = append(f.Types, t); len(f.Types) > maxEventTypes {
				return f, invalid("type", fmt.Sprintf("has more than %d types", maxEventTypes))
			}
		}
	}
	var err error
	if f.Since, f.After, err = sinceOf(q.Since); err != nil {
		return f, err
	}
	if q.Until != "" {
		if f.Until, err = time.Parse(time.RFC3339, strings.ReplaceAll(q.Until, " ", "+")); err != nil {
			return f, invalid("until", "must be a time (RFC 3339)")
		}
	}
	return f, nil
}

// sinceOf reads a time or a position.
func sinceOf(s string) (time.Time, omni.Position, error) {
	if s == "" {
		return time.Time{}, omni.Position{}, nil
	}
	// An unescaped "+" of a time zone arrives as a space.
	if at, err := time.Parse(time.RFC3339, strings.ReplaceAll(s, " ", "+")); err == nil {
		return at, omni.Position{}, nil
	}
	pos, err := omni.ParsePosition(s)
	if err != nil {
		return time.Time{}, pos, invalid("since", "must be a time (RFC 3339) or a position of this log")
	}
	return time.Time{}, pos, nil
}
