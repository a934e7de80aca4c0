package control

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/omnihub/omni/internal/omni"
)

// PersonStore is what the persons' use cases need of the store.
type PersonStore interface {
	// Person reads one person; under the id of one that was merged, whom they
	// were merged into.
	Person(ctx context.Context, tenant string, id uuid.UUID) (*omni.Person, error)
	ListPersons(ctx context.Context, tenant string, f omni.PersonFilter, p omni.Page) ([]omni.Person, error)
	// SearchPersons reads a page of those that f.Query fits, the best first, and
	// where the next page begins.
	SearchPersons(ctx context.Context, tenant string, f omni.PersonFilter, after *omni.RankedKey, limit int) ([]omni.Person, *omni.RankedKey, error)
	// UpdatePerson holds the person's row while change runs.
	UpdatePerson(ctx context.Context, tenant string, id uuid.UUID, by string, change func(*omni.Person) error) (*omni.Person, error)
	// PersonChats lists the chats that a person was in of late.
	PersonChats(ctx context.Context, tenant string, person uuid.UUID) ([]omni.ChatRef, error)
	Timeline(ctx context.Context, tenant string, person uuid.UUID, f omni.TimelineFilter, p omni.Page) ([]omni.Message, error)
}

// Persons are the use cases around persons. Safe for concurrent use.
type Persons struct {
	store PersonStore
	live  PresenceReader // nil: nobody knows
	log   *slog.Logger
}

// Get reads one person with the identities that the caller may see. Somebody
// who was merged into another person is that person.
func (s *Persons) Get(ctx context.Context, who *omni.APIKey, id uuid.UUID) (*omni.Person, error) {
	p, err := s.store.Person(ctx, who.TenantID, id)
	if err != nil {
		return nil, orNotFound(err, "person")
	}
	return s.shown(who, p)
}

// shown takes out what the caller may not see.
func (s *Persons) shown(who *omni.APIKey, p *omni.Person) (*omni.Person, error) {
	if !seesPerson(who, p) {
		return nil, notFound("person")
	}
	p.Identities = slices.DeleteFunc(p.Identities, func(i omni.Identity) bool { return !who.Sees(i.InstanceID) })
	if p.PreferredIdentityID != nil && !slices.ContainsFunc(p.Identities, func(i omni.Identity) bool { return i.ID == *p.PreferredIdentityID }) {
		p.PreferredIdentityID = nil // hidden, or no longer theirs
	}
	return p, nil
}

// seesPerson hides from a key of some instances whoever has no account there.
func seesPerson(who *omni.APIKey, p *omni.Person) bool {
	return who.InstanceIDs == nil || slices.ContainsFunc(p.Identities, func(i omni.Identity) bool { return who.Sees(i.InstanceID) })
}

// List reads a page of persons, newest first; with f.Query of those that it
// fits, the best first.
func (s *Persons) List(ctx context.Context, who *omni.APIKey, f omni.PersonFilter, p Paging) (*List[omni.Person], error) {
	f.Within = who.InstanceIDs
	if f.Query = strings.TrimSpace(f.Query); f.Query != "" {
		return s.search(ctx, who, f, p)
	}
	return list(ctx, who, f, p, s.store.ListPersons, func(v *omni.Person) (time.Time, uuid.UUID) { return v.CreatedAt, v.ID })
}

func (s *Persons) search(ctx context.Context, who *omni.APIKey, f omni.PersonFilter, p Paging) (*List[omni.Person], error) {
	after, err := omni.ParseRankedCursor(p.Cursor)
	if err != nil {
		return nil, invalid("cursor", "is not one that this hub gave out for this search")
	}
	found, next, err := s.store.SearchPersons(ctx, who.TenantID, f, after, p.limit())
	if err != nil {
		return nil, err
	}
	out := &List[omni.Person]{Items: found}
	if next != nil {
		out.Next = next.Cursor()
	}
	return out, nil
}

// TimelineQuery narrows a timeline, as a caller writes it.
type TimelineQuery struct {
	InstanceID   uuid.UUID
	ChatID       uuid.UUID
	Type         string
	Direction    string
	Since, Until string // RFC 3339; since is inclusive, until is not
}

// Timeline reads a page of everything that was said by a person and to them, on
// the instances that the caller may see, newest first.
func (s *Persons) Timeline(ctx context.Context, who *omni.APIKey, id uuid.UUID, q TimelineQuery, p Paging) (*List[omni.Message], error) {
	page, err := p.page()
	if err != nil {
		return nil, err
	}
	f := omni.TimelineFilter{Within: who.InstanceIDs, InstanceID: q.InstanceID, ChatID: q.ChatID, Type: q.Type, Direction: q.Direction}
	if f.Since, err = timeOf("since", q.Since); err != nil {
		return nil, err
	}
	if f.Until, err = timeOf("until", q.Until); err != nil {
		return nil, err
	}
	person, err := s.Get(ctx, who, id)
	if err != nil {
		return nil, err
	}
	rows, err := s.store.Timeline(ctx, who.TenantID, person.ID, f, page)
	if err != nil {
		return nil, err
	}
	return listOf(p, rows, func(v *omni.Message) (time.Time, uuid.UUID) { return v.CreatedAt, v.ID }), nil
}

// timeOf reads a time in a query; nil for none.
func timeOf(field, s string) (*time.Time, error) {
	if s == "" {
		return nil, nil //nolint:nilnil // no time is a valid answer, not a failure
	}
	// An unescaped "+" of a time zone arrives as a space.
	at, err := time.Parse(time.RFC3339, strings.ReplaceAll(s, " ", "+"))
	if err != nil {
		return nil, invalid(field, "must be a time (RFC 3339)")
	}
	return &at, nil
}
