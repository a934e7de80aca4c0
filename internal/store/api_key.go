package store

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/store/dbsqlc"
)

// CreateAPIKey stores a key by its hash, and its tenant where it is the first
// of one.
func (s *Store) CreateAPIKey(ctx context.Context, k omni.APIKey, hash []byte) (*omni.APIKey, error) {
	var row dbsqlc.ApiKey
	err := s.inTx(ctx, func(_ pgx.Tx, q *dbsqlc.Queries) error {
		if err := q.EnsureTenant(ctx, k.TenantID); err != nil {
			return err
		}
		var err error
		row, err = q.InsertAPIKey(ctx, dbsqlc.InsertAPIKeyParams{
			ID: uuid.Must(uuid.NewV7()), TenantID: k.TenantID, Name: k.Name, Prefix: k.Prefix, Hash: hash, Scopes: k.Scopes,
			InstanceIds: k.InstanceIDs, ExpiresAt: k.ExpiresAt,
		})
		return err
	})
	if err != nil {
		return nil, wrap(err, "storing an API key")
	}
	return apiKeyView(row), nil
}

// APIKeyByHash reads the key with that hash, expired ones too; ErrNotFound if
// there is none or it was revoked.
func (s *Store) APIKeyByHash(ctx context.Context, hash []byte) (*omni.APIKey, error) {
	row, err := s.q.APIKeyByHash(ctx, hash)
	if err != nil {
		return nil, wrap(err, "reading an API key")
	}
	return apiKeyView(row), nil
}

// APIKey reads one key of a tenant; ErrNotFound if there is none.
func (s *Store) APIKey(ctx context.Context, tenant string, id uuid.UUID) (*omni.APIKey, error) {
	row, err := s.q.GetAPIKey(ctx, dbsqlc.GetAPIKeyParams{ID: id, TenantID: tenant})
	if err != nil {
		return nil, wrap(err, "reading API key "+id.String())
	}
	return apiKeyView(row), nil
}

// APIKeyEver reads one key of a tenant, revoked ones too.
func (s *Store) APIKeyEver(ctx context.Context, tenant string, id uuid.UUID) (*omni.APIKey, error) {
	row, err := s.q.GetAPIKeyEver(ctx, dbsqlc.GetAPIKeyEverParams{ID: id, TenantID: tenant})
	if err != nil {
		return nil, wrap(err, "reading API key "+id.String())
	}
	return apiKeyView(row), nil
}

// ListAPIKeys reads a page of the keys that were not revoked, newest first.
// within (nil: all) leaves only those that reach none but these instances.
func (s *Store) ListAPIKeys(ctx context.Context, tenant string, within []uuid.UUID, p omni.Page) ([]omni.APIKey, error) {
	var w where
	w.and("tenant_id = ?", tenant)
	w.conds = append(w.conds, "revoked_at IS NULL")
	if within != nil {
		w.and("instance_ids <@ ?::uuid[]", within) // NULL, every instance, is in nothing
	}
	rows, err := s.pool.Query(ctx, "SELECT "+apiKeyColumns+" FROM api_keys"+w.page("", p), w.args...)
	if err != nil {
		return nil, wrap(err, "listing API keys")
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[dbsqlc.ApiKey])
	if err != nil {
		return nil, wrap(err, "reading API keys")
	}
	out := make([]omni.APIKey, 0, len(found))
	for _, row := range found {
		out = append(out, *apiKeyView(row))
	}
	return out, nil
}

// RevokeAPIKey ends a key. ErrNotFound if there is none. With keepAdmin the
// last key of its tenant that may do everything is not ended: ErrLastAdmin.
func (s *Store) RevokeAPIKey(ctx context.Context, tenant string, id uuid.UUID, keepAdmin bool) error {
	err := s.inTx(ctx, func(_ pgx.Tx, q *dbsqlc.Queries) error {
		if keepAdmin {
			// One at a time: two keys that end each other would both find one left.
			if err := q.LockTenant(ctx, tenant); err != nil {
				return err
			}
			others, err := q.OtherAdminKeys(ctx, dbsqlc.OtherAdminKeysParams{TenantID: tenant, ID: id})
			if err != nil {
				return err
			}
			if !others {
				return omni.ErrLastAdmin
			}
		}
		_, err := q.RevokeAPIKey(ctx, dbsqlc.RevokeAPIKeyParams{ID: id, TenantID: tenant})
		return err
	})
	return wrap(err, "revoking API key "+id.String())
}

// RotateAPIKey gives a key another secret; the old one ends. ErrNotFound if
// there is no such key, or its prefix is not the old one any more.
func (s *Store) RotateAPIKey(ctx context.Context, tenant string, id uuid.UUID, oldPrefix, prefix string, hash []byte) (*omni.APIKey, error) {
	row, err := s.q.RotateAPIKey(ctx, dbsqlc.RotateAPIKeyParams{ID: id, TenantID: tenant, OldPrefix: oldPrefix, Prefix: prefix, NewHash: hash})
	if err != nil {
		return nil, wrap(err, "rotating API key "+id.String())
	}
	return apiKeyView(row), nil
}

// TouchAPIKey notes that a key was used.
func (s *Store) TouchAPIKey(ctx context.Context, id uuid.UUID) error {
	return wrap(s.q.TouchAPIKey(ctx, id), "noting the use of API key "+id.String())
}

// ListTenants reads a page of the tenants, newest first.
func (s *Store) ListTenants(ctx context.Context, p omni.Page) ([]omni.Tenant, error) {
	at, id := p.AfterParams()
	rows, err := s.q.ListTenants(ctx, dbsqlc.ListTenantsParams{AfterAt: at, AfterID: id, RowLimit: int32(p.Limit)}) //nolint:gosec // at most 101
	if err != nil {
		return nil, wrap(err, "listing tenants")
	}
	out := make([]omni.Tenant, len(rows))
	for i, r := range rows {
		out[i] = omni.Tenant(r)
	}
	return out, nil
}

func apiKeyView(r dbsqlc.ApiKey) *omni.APIKey {
	return &omni.APIKey{ID: r.ID, TenantID: r.TenantID, Name: r.Name, Prefix: r.Prefix, Scopes: r.Scopes,
		InstanceIDs: r.InstanceIds, ExpiresAt: r.ExpiresAt, LastUsedAt: r.LastUsedAt, CreatedAt: r.CreatedAt}
}
