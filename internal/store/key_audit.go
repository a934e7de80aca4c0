package store

import (
	"context"

	"github.com/google/uuid"

	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/store/dbsqlc"
)

// AppendKeyAudit stores a batch of uses, each once however often it is tried.
func (s *Store) AppendKeyAudit(ctx context.Context, uses []omni.KeyUse) error {
	if len(uses) == 0 {
		return nil
	}
	var p dbsqlc.InsertKeyAuditParams
	for i := range uses {
		u := &uses[i]
		p.Ids, p.Tenants, p.Keys = append(p.Ids, u.ID), append(p.Tenants, u.TenantID), append(p.Keys, u.KeyID)
		p.Methods, p.Routes, p.Paths = append(p.Methods, u.Method), append(p.Routes, u.Route), append(p.Paths, u.Path)
		p.Statuses = append(p.Statuses, int32(u.Status)) //nolint:gosec // three digits
		p.RequestIds, p.Addresses = append(p.RequestIds, u.RequestID), append(p.Addresses, u.Address)
		p.Times = append(p.Times, u.CreatedAt)
	}
	return wrap(s.q.InsertKeyAudit(ctx, p), "storing the use of API keys")
}

// ListKeyAudit reads a page of what was done with a key, newest first.
func (s *Store) ListKeyAudit(ctx context.Context, tenant string, key uuid.UUID, p omni.Page) ([]omni.KeyUse, error) {
	at, id := p.AfterParams()
	rows, err := s.q.ListKeyAudit(ctx, dbsqlc.ListKeyAuditParams{TenantID: tenant, KeyID: key, AfterAt: at, AfterID: id,
		RowLimit: int32(p.Limit)}) //nolint:gosec // at most 101
	if err != nil {
		return nil, wrap(err, "reading the use of API key "+key.String())
	}
	out := make([]omni.KeyUse, len(rows))
	for i, r := range rows {
		out[i] = omni.KeyUse{ID: r.ID, TenantID: r.TenantID, KeyID: r.KeyID, Method: r.Method, Route: r.Route, Path: r.Path,
			Status: int(r.Status), RequestID: r.RequestID, Address: r.Address, CreatedAt: r.CreatedAt}
	}
	return out, nil
}

// ForgetKeyAudit drops what is older than so many days, and of each key all
// but so many of the newest.
func (s *Store) ForgetKeyAudit(ctx context.Context, days, perKey int) error {
	if _, err := s.q.ForgetOldKeyAudit(ctx, int32(days)); err != nil { //nolint:gosec // a small number
		return wrap(err, "forgetting old uses of API keys")
	}
	_, err := s.q.TrimKeyAudit(ctx, int32(perKey)) //nolint:gosec // a small number
	return wrap(err, "forgetting uses of API keys")
}
