package v1

import (
	"context"
	"net/http"

	"github.com/omnihub/omni/internal/control"
	"github.com/omnihub/omni/internal/omni"
)

type createKey struct{ Body control.KeyRequest }

type auditKey struct {
	ByID
	Paging
}

func (r *routes) keys() {
	const tag, read, write = "keys", "keys:read", "keys:write"
	add(r, endpoint{id: "list-keys", method: http.MethodGet, path: "/keys", tag: tag, scope: read,
		summary: "List API keys, without the keys themselves"},
		func(ctx context.Context, who *omni.APIKey, in *Paging) (*many[omni.APIKey], error) {
			return manyOf(r.Keys.List(ctx, who, in.control()))
		})
	add(r, endpoint{id: "create-key", method: http.MethodPost, path: "/keys", tag: tag, scope: write,
		summary: "Create an API key", doc: "The key is shown this once. Nobody gives more than they have: scopes, instances, time.", status: http.StatusCreated},
		func(ctx context.Context, who *omni.APIKey, in *createKey) (*one[control.CreatedKey], error) {
			return oneOf(r.Keys.Create(ctx, who, in.Body))
		})
	add(r, endpoint{id: "delete-key", method: http.MethodDelete, path: "/keys/{id}", tag: tag, scope: write,
		summary: "End an API key", doc: "In every process within a second. The last admin key of a tenant stays: 409.", status: http.StatusNoContent},
		func(ctx context.Context, who *omni.APIKey, in *ByID) (*none, error) {
			return &none{}, r.Keys.Delete(ctx, who, in.ID.UUID)
		})
	add(r, endpoint{id: "rotate-key", method: http.MethodPost, path: "/keys/{id}/rotate", tag: tag, scope: write,
		summary: "Give an API key another secret", doc: "It is shown this once. The old one ends in every process within a second."},
		func(ctx context.Context, who *omni.APIKey, in *ByID) (*one[control.CreatedKey], error) {
			return oneOf(r.Keys.Rotate(ctx, who, in.ID.UUID))
		})
	add(r, endpoint{id: "audit-key", method: http.MethodGet, path: "/keys/{id}/audit", tag: tag, scope: read,
		summary: "List what was done with an API key, newest first",
		doc: "Requests that could change something, refused ones too; a second after their answer. " +
			"Kept for 90 days, at most 10,000 of each key, also after the key has ended."},
		func(ctx context.Context, who *omni.APIKey, in *auditKey) (*many[omni.KeyUse], error) {
			return manyOf(r.Keys.Audit(ctx, who, in.ID.UUID, in.control()))
		})
}

func (r *routes) tenants() {
	add(r, endpoint{id: "list-tenants", method: http.MethodGet, path: "/tenants", tag: "keys", scope: omni.ScopeAdmin,
		summary: "List the tenants of this hub", doc: "For admin keys of tenant default. A tenant is made with its first key."},
		func(ctx context.Context, who *omni.APIKey, in *Paging) (*many[omni.Tenant], error) {
			return manyOf(r.Tenants.List(ctx, who, in.control()))
		})
}
