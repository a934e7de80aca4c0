package control

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/omnihub/omni/internal/omni"
)

// PersonStore is what the persons' use cases need of the store.
type PersonStore interface {
	Person(ctx context.Context, tenant string, id uuid.UUID) (*omni.Person, error)
	ListPersons(ctx context.Context, tenant string, f omni.PersonFilter, p omni.Page) ([]omni.Person, error)
}

// Persons are the use cases around persons. Safe for concurrent use.
type Persons struct{ store PersonStore }

// Get reads one person with the identities that the caller may see.
func (s *Persons) Get(ctx context.Context, who *omni.APIKey, id uuid.UUID) (*omni.Person, error) {
	p, err := s.store.Person(ctx, who.TenantID, id)
	if err != nil {
		return nil, orNotFound(err, "person")
	}
	if who.InstanceIDs != nil {
		p.Identities = slices.DeleteFunc(p.Identities, func(i omni.Identity) bool { return !who.Sees(i.InstanceID) })
		if len(p.Identities) == 0 {
			return nil, notFound("person")
		}
	}
	return p, nil
}

// List reads a page of persons, searched by f.Query.
func (s *Persons) List(ctx context.Context, who *omni.APIKey, f omni.PersonFilter, p Paging) (*List[omni.Person], error) {
	page, err := p.page()
	if err != nil {
		return nil, err
	}
	f.Within = who.InstanceIDs
	rows, err := s.store.ListPersons(ctx, who.TenantID, f, page)
	if err != nil {
		return nil, err
	}
	return listOf(p, rows, func(v *omni.Person) (time.Time, uuid.UUID) { return v.CreatedAt, v.ID }), nil
}
