package control

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/omnihub/omni/internal/omni"
)

// DeadLetterStore is what the dead letters' use cases need of the store.
type DeadLetterStore interface {
	DeadLetter(ctx context.Context, tenant string, id uuid.UUID) (*omni.DeadLetter, error)
	ListDeadLetters(ctx context.Context, tenant string, f omni.DeadLetterFilter, p omni.Page) ([]omni.DeadLetter, error)
}

// DeadLetters are the use cases around steps that were given up on. Safe for
// concurrent use.
type DeadLetters struct{ store DeadLetterStore }

// Get reads one dead letter.
func (s *DeadLetters) Get(ctx context.Context, who *omni.APIKey, id uuid.UUID) (*omni.DeadLetter, error) {
	d, err := s.store.DeadLetter(ctx, who.TenantID, id)
	if err == nil && who.InstanceIDs != nil && (d.InstanceID == nil || !who.Sees(*d.InstanceID)) {
		err = omni.ErrNotFound
	}
	if err != nil {
		return nil, orNotFound(err, "dead letter")
	}
	return d, nil
}

// List reads a page of dead letters.
func (s *DeadLetters) List(ctx context.Context, who *omni.APIKey, f omni.DeadLetterFilter, p Paging) (*List[omni.DeadLetter], error) {
	page, err := p.page()
	if err != nil {
		return nil, err
	}
	f.Within = who.InstanceIDs
	rows, err := s.store.ListDeadLetters(ctx, who.TenantID, f, page)
	if err != nil {
		return nil, err
	}
	return listOf(p, rows, func(v *omni.DeadLetter) (time.Time, uuid.UUID) { return v.CreatedAt, v.ID }), nil
}
