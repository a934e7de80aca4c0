package store

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/store/dbsqlc"
)

// CreateAPIKey stores a key by its hash.
func (s *Store) CreateAPIKey(ctx context.Context, k omni.APIKey, hash []byte) (*omni.APIKey, error) {
	row, err := s.q.InsertAPIKey(ctx, dbsqlc.InsertAPIKeyParams{
		ID: uuid.Must(uuid.NewV7()), TenantID: k.TenantID, Name: k.Name, Prefix: k.Prefix, Hash: hash, Scopes: k.Scopes,
		InstanceIds: k.InstanceIDs, ExpiresAt: k.ExpiresAt,
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

// ListAPIKeys reads a page of the keys that were not revoked, newest first.
func (s *Store) ListAPIKeys(ctx context.Context, tenant string, p omni.Page) ([]omni.APIKey, error) {
	var w where
	w.and("tenant_id = ?", tenant)
	w.conds = append(w.conds, "revoked_at IS NULL")
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

// RevokeAPIKey ends a key and returns its hash, for caches to forget.
// ErrNotFound if there is none.
func (s *Store) RevokeAPIKey(ctx context.Context, tenant string, id uuid.UUID) ([]byte, error) {
	hash, err := s.q.RevokeAPIKey(ctx, dbsqlc.RevokeAPIKeyParams{ID: id, TenantID: tenant})
	return hash, wrap(err, "revoking API key "+id.String())
}

// TouchAPIKey notes that a key was used.
func (s *Store) TouchAPIKey(ctx context.Context, id uuid.UUID) error {
	return wrap(s.q.TouchAPIKey(ctx, id), "noting the use of API key "+id.String())
}

func apiKeyView(r dbsqlc.ApiKey) *omni.APIKey {
	return &omni.APIKey{ID: r.ID, TenantID: r.TenantID, Name: r.Name, Prefix: r.Prefix, Scopes: r.Scopes,
		InstanceIDs: r.InstanceIds, ExpiresAt: r.ExpiresAt, LastUsedAt: r.LastUsedAt, CreatedAt: r.CreatedAt}
}
