package control

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/omnihub/omni/internal/omni"
)

// PersonGraphStore is what changing who is who needs of the store.
type PersonGraphStore interface {
	MergePersons(ctx context.Context, c omni.GraphCall, source, target uuid.UUID) (omni.GraphAnswer, error)
	LinkIdentity(ctx context.Context, c omni.GraphCall, identity, person uuid.UUID) (omni.GraphAnswer, error)
	UnlinkIdentity(ctx context.Context, c omni.GraphCall, identity uuid.UUID) (omni.GraphAnswer, error)
	UndoMerge(ctx context.Context, c omni.GraphCall, id uuid.UUID) (omni.GraphAnswer, error)
	ConfirmSuggestion(ctx context.Context, c omni.GraphCall, id uuid.UUID) (omni.GraphAnswer, error)
	DismissSuggestion(ctx context.Context, c omni.GraphCall, id uuid.UUID) (omni.GraphAnswer, error)
	// RoutedInstances are those with a route of one of the persons.
	RoutedInstances(ctx context.Context, persons ...uuid.UUID) ([]uuid.UUID, error)
	ListMerges(ctx context.Context, tenant string, f omni.MergeFilter, p omni.Page) ([]omni.Merge, error)
	ListSuggestions(ctx context.Context, tenant string, f omni.SuggestionFilter, p omni.Page) ([]omni.Suggestion, error)
}

// PersonGraph are the use cases that change who is who. Safe for concurrent
// use.
type PersonGraph struct {
	store    PersonGraphStore
	announce Announcer // nil: nobody else caches instances
	log      *slog.Logger
}

// MergeRequest makes one person of two.
type MergeRequest struct {
	SourcePersonID uuid.UUID `json:"sourcePersonId" format:"uuid" required:"true" doc:"becomes the other"`
	TargetPersonID uuid.UUID `json:"targetPersonId" format:"uuid" required:"true" doc:"is kept"`
	Reason         string    `json:"reason,omitempty" maxLength:"500" doc:"for people"`
}

// LinkRequest makes an account a person's.
type LinkRequest struct {
	PersonID   uuid.UUID `json:"personId" format:"uuid" required:"true"`
	IdentityID uuid.UUID `json:"identityId" format:"uuid" required:"true"`
	Reason     string    `json:"reason,omitempty" maxLength:"500" doc:"for people"`
}

// UnlinkRequest gives an account a person of its own.
type UnlinkRequest struct {
	IdentityID uuid.UUID `json:"identityId" format:"uuid" required:"true"`
	Reason     string    `json:"reason,omitempty" maxLength:"500" doc:"for people"`
}

// Merge makes the source's accounts, and all that hangs on them, the target's.
func (g *PersonGraph) Merge(ctx context.Context, who *omni.APIKey, req MergeRequest) (*omni.Merge, error) {
	if req.SourcePersonID == req.TargetPersonID {
		return nil, invalid("targetPersonId", "is the same person")
	}
	a, err := g.store.MergePersons(ctx, graphCall(who, req.Reason), req.SourcePersonID, req.TargetPersonID)
	return g.changed(ctx, who, a, err, "person")
}

// Link makes an account a person's. A person of whom nothing is left is gone.
func (g *PersonGraph) Link(ctx context.Context, who *omni.APIKey, req LinkRequest) (*omni.Merge, error) {
	a, err := g.store.LinkIdentity(ctx, graphCall(who, req.Reason), req.IdentityID, req.PersonID)
	return g.changed(ctx, who, a, err, "person or identity")
}

// Unlink gives an account a person of its own.
func (g *PersonGraph) Unlink(ctx context.Context, who *omni.APIKey, req UnlinkRequest) (*omni.Merge, error) {
	a, err := g.store.UnlinkIdentity(ctx, graphCall(who, req.Reason), req.IdentityID)
	return g.changed(ctx, who, a, err, "identity")
}

// Undo takes a merge, link or unlink back.
func (g *PersonGraph) Undo(ctx context.Context, who *omni.APIKey, id uuid.UUID) (*omni.Merge, error) {
	a, err := g.store.UndoMerge(ctx, graphCall(who, ""), id)
	return g.changed(ctx, who, a, err, "merge")
}

// Confirm merges the two persons of a suggestion, keeping the elder.
func (g *PersonGraph) Confirm(ctx context.Context, who *omni.APIKey, id uuid.UUID) (*omni.Merge, error) {
	a, err := g.store.ConfirmSuggestion(ctx, graphCall(who, "suggested, and confirmed"), id)
	return g.changed(ctx, who, a, err, "suggestion")
}

// Dismiss says that the two persons of a suggestion are not one.
func (g *PersonGraph) Dismiss(ctx context.Context, who *omni.APIKey, id uuid.UUID) (*omni.Suggestion, error) {
	a, err := g.store.DismissSuggestion(ctx, graphCall(who, ""), id)
	if err := graphRefusal(a, err, "suggestion"); err != nil {
		return nil, err
	}
	found, err := g.store.ListSuggestions(ctx, who.TenantID, omni.SuggestionFilter{ID: id}, omni.Page{Limit: 1})
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, notFound("suggestion")
	}
	return &found[0], nil
}

// Merges reads a page of changes, newest first.
func (g *PersonGraph) Merges(ctx context.Context, who *omni.APIKey, f omni.MergeFilter, p Paging) (*List[omni.Merge], error) {
	f.Within = who.InstanceIDs
	return list(ctx, who, f, p, g.store.ListMerges, func(v *omni.Merge) (time.Time, uuid.UUID) { return v.CreatedAt, v.ID })
}

// GetMerge reads one change.
func (g *PersonGraph) GetMerge(ctx context.Context, who *omni.APIKey, id uuid.UUID) (*omni.Merge, error) {
	if id == uuid.Nil {
		return nil, notFound("merge")
	}
	found, err := g.store.ListMerges(ctx, who.TenantID, omni.MergeFilter{ID: id, Within: who.InstanceIDs}, omni.Page{Limit: 1})
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, notFound("merge")
	}
	return &found[0], nil
}

// Suggestions reads a page of suggestions, newest first.
func (g *PersonGraph) Suggestions(ctx context.Context, who *omni.APIKey, f omni.SuggestionFilter, p Paging) (*List[omni.Suggestion], error) {
	f.Within = who.InstanceIDs
	return list(ctx, who, f, p, g.store.ListSuggestions, func(v *omni.Suggestion) (time.Time, uuid.UUID) { return v.CreatedAt, v.ID })
}

func graphCall(who *omni.APIKey, reason string) omni.GraphCall {
	return omni.GraphCall{TenantID: who.TenantID, Within: who.InstanceIDs, By: who.Name, Reason: omni.CleanText(reason)}
}

func (g *PersonGraph) changed(ctx context.Context, who *omni.APIKey, a omni.GraphAnswer, err error, what string) (*omni.Merge, error) {
	if err := graphRefusal(a, err, what); err != nil {
		return nil, err
	}
	m, err := g.GetMerge(ctx, who, a.ID)
	if err == nil {
		g.rerouted(ctx, m)
	}
	return m, err
}

// rerouted tells whoever keeps the routes of instances that they are other
// persons' now. Where that fails they find out a little later by themselves.
func (g *PersonGraph) rerouted(ctx context.Context, m *omni.Merge) {
	if g.announce == nil {
		return
	}
	instances, err := g.store.RoutedInstances(ctx, m.SourcePersonID, m.TargetPersonID)
	for _, id := range instances {
		err = errors.Join(err, g.announce.Announce(ctx, id))
	}
	if err != nil {
		g.log.WarnContext(ctx, "announcing the routes that a merge moved", "merge_id", m.ID, "error", err)
	}
}

// graphRefusal says why a change was not made, nil if it was.
func graphRefusal(a omni.GraphAnswer, err error, what string) error {
	conflict := func(code, detail string) error { return &Error{Kind: KindConflict, Code: code, Detail: detail} }
	switch {
	case errors.Is(err, omni.ErrGraphBusy):
		return &Error{Kind: KindUnavailable, Code: CodeUnavailable, Detail: omni.ErrGraphBusy.Error(), RetryAfter: time.Second}
	case err != nil:
		return err
	}
	switch a.State {
	case omni.GraphDone:
		return nil
	case omni.GraphHidden:
		return &Error{Kind: KindForbidden, Code: CodeForbidden, Detail: "they have accounts on instances that this key does not see"}
	case omni.GraphSame:
		return invalid("targetPersonId", "is the same person")
	case omni.GraphAlready:
		return conflict(CodeAlreadyLinked, "it is this person's account already")
	case omni.GraphAlone:
		return conflict(CodeAlone, "it is the only account of its person")
	case omni.GraphUndone:
		return conflict(CodeUndone, "it has been undone already")
	case omni.GraphSuperseded:
		if a.ID == uuid.Nil {
			return conflict(CodeSuperseded, "the accounts have moved on since")
		}
		return conflict(CodeSuperseded, "a later change stands on it: undo "+a.ID.String()+" first")
	case omni.GraphSettled:
		return conflict(CodeSettled, "it is decided already, or the two are one person by now")
	default:
		return notFound(what)
	}
}
