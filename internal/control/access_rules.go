package control

import (
	"context"
	"encoding/json"
	"time"

	"github.com/google/uuid"

	"github.com/omnihub/omni/internal/omni"
)

// AccessStore is what the use cases around access need of the store.
// PatchAccessRule holds the row while change runs.
type AccessStore interface {
	instanceReader
	Person(ctx context.Context, tenant string, id uuid.UUID) (*omni.Person, error)
	Chat(ctx context.Context, tenant string, id uuid.UUID) (*omni.Chat, error)
	CreateAccessRule(ctx context.Context, r omni.AccessRule) (*omni.AccessRule, error)
	AccessRule(ctx context.Context, tenant string, id uuid.UUID) (*omni.AccessRule, error)
	ListAccessRules(ctx context.Context, tenant string, f omni.AccessRuleFilter, p omni.Page) ([]omni.AccessRule, error)
	PatchAccessRule(ctx context.Context, tenant string, id uuid.UUID, change func(*omni.AccessRule) error) (*omni.AccessRule, error)
	DeleteAccessRule(ctx context.Context, tenant string, id uuid.UUID) error

	AccessSender(ctx context.Context, tenant string, instance uuid.UUID, user, phone string, person uuid.NullUUID) (omni.AccessFacts, bool, error)
	AccessCandidates(ctx context.Context, tenant string, f *omni.AccessFacts) ([]omni.AccessRule, error)
	AccessRulesFor(ctx context.Context, tenant string, instance uuid.UUID, limit int) ([]omni.AccessRule, error)
	AccessTokens(ctx context.Context, tenant string, rule, identity uuid.UUID, l omni.RateLimit, at time.Time) (float64, error)

	ListPairings(ctx context.Context, tenant string, f omni.PairingFilter, p omni.Page) ([]omni.Pairing, error)
	DecidePairing(ctx context.Context, v omni.PairingVerdict) (*omni.PairingResult, error)
	ForgetAccess(ctx context.Context) error
}

// Access are the use cases around who may talk to us. Safe for concurrent use.
type Access struct{ store AccessStore }

// List reads a page of rules. A key that is restricted to instances sees those
// of its instances only.
func (s *Access) List(ctx context.Context, who *omni.APIKey, f omni.AccessRuleFilter, p Paging) (*List[omni.AccessRule], error) {
	f.Within = who.InstanceIDs
	return list(ctx, who, f, p, s.store.ListAccessRules, func(v *omni.AccessRule) (time.Time, uuid.UUID) { return v.CreatedAt, v.ID })
}

// Get reads one rule.
func (s *Access) Get(ctx context.Context, who *omni.APIKey, id uuid.UUID) (*omni.AccessRule, error) {
	r, err := s.store.AccessRule(ctx, who.TenantID, id)
	if err == nil && !seesRule(who, r) {
		err = omni.ErrNotFound
	}
	if err != nil {
		return nil, orNotFound(err, "rule")
	}
	return r, nil
}

// seesRule reports whether the caller may know of a rule. One for every
// instance is about more than a restricted key may touch.
func seesRule(who *omni.APIKey, r *omni.AccessRule) bool {
	return who.InstanceIDs == nil || r.InstanceID != nil && who.Sees(*r.InstanceID)
}

// Create makes a rule of what the request says (AccessRuleInput as JSON). The
// very next message is decided by it.
func (s *Access) Create(ctx context.Context, who *omni.APIKey, body json.RawMessage) (*omni.AccessRule, error) {
	r := omni.AccessRule{ID: uuid.Must(uuid.NewV7()), TenantID: who.TenantID, Source: omni.RuleFromAPI}
	if err := s.change(ctx, who, &r, body); err != nil {
		return nil, err
	}
	return s.store.CreateAccessRule(ctx, r)
}

// change is what a request makes of a rule, with all that it names looked up.
func (s *Access) change(ctx context.Context, who *omni.APIKey, r *omni.AccessRule, body json.RawMessage) error {
	before := *r
	if err := applyRule(r, body); err != nil {
		return err
	}
	if err := restricted(who, r); err != nil {
		return err
	}
	return s.checkRefs(ctx, who, r, &before)
}

// Patch merges a change into a rule (JSON merge patch).
func (s *Access) Patch(ctx context.Context, who *omni.APIKey, id uuid.UUID, body json.RawMessage) (*omni.AccessRule, error) {
	r, err := s.Get(ctx, who, id)
	if err != nil {
		return nil, err
	}
	if err := s.change(ctx, who, r, body); err != nil {
		return nil, err
	}
	// Merged once more with the rule as it is under its lock: of two changes at
	// once, both are kept.
	r, err = s.store.PatchAccessRule(ctx, who.TenantID, id, func(r *omni.AccessRule) error {
		if !seesRule(who, r) {
			return notFound("rule")
		}
		if err := applyRule(r, body); err != nil {
			return err
		}
		return restricted(who, r)
	})
	if err != nil {
		return nil, orNotFound(err, "rule")
	}
	return r, nil
}

// Delete forgets a rule, and what it has counted.
func (s *Access) Delete(ctx context.Context, who *omni.APIKey, id uuid.UUID) error {
	if _, err := s.Get(ctx, who, id); err != nil {
		return err
	}
	return orNotFound(s.store.DeleteAccessRule(ctx, who.TenantID, id), "rule")
}

// Forget drops what has no effect any more; to be called hourly.
func (s *Access) Forget(ctx context.Context) error { return s.store.ForgetAccess(ctx) }
