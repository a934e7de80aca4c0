package control

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/omnihub/omni/internal/omni"
)

// TenantStore is what the tenants' use cases need of the store.
type TenantStore interface {
	ListTenants(ctx context.Context, p omni.Page) ([]omni.Tenant, error)
}

// Tenants are the use cases around those who share the hub. Safe for
// concurrent use.
type Tenants struct{ store TenantStore }

// List reads a page of the tenants. Only operators may know who else is there.
func (s *Tenants) List(ctx context.Context, who *omni.APIKey, p Paging) (*List[omni.Tenant], error) {
	if !IsOperator(who) {
		return nil, &Error{Kind: KindForbidden, Code: CodeForbidden, Detail: "this needs an admin key of tenant " + omni.DefaultTenant}
	}
	page, err := p.page()
	if err != nil {
		return nil, err
	}
	rows, err := s.store.ListTenants(ctx, page)
	if err != nil {
		return nil, err
	}
	return listOf(p, rows, func(v *omni.Tenant) (time.Time, uuid.UUID) { return v.CreatedAt, v.ID }), nil
}

// IsOperator reports whether a key runs the hub: it may make tenants and keys
// of theirs. What a tenant has is not its to see: for that it needs a key of
// that tenant.
func IsOperator(who *omni.APIKey) bool { return who.TenantID == omni.DefaultTenant && allPowerful(who) }

// allPowerful reports whether a key may do everything within its tenant.
func allPowerful(k *omni.APIKey) bool { return k.InstanceIDs == nil && k.Allows(omni.ScopeAdmin) }
