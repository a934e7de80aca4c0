package v1

import (
	"context"
	"net/http"

	"github.com/omnihub/omni/internal/control"
	"github.com/omnihub/omni/internal/omni"
)

type createKey struct{ Body control.KeyRequest }

func (r *routes) keys() {
	const tag, read, write = "keys", "keys:read", "keys:write"
	add(r, endpoint{id: "list-keys", method: http.MethodGet, path: "/keys", tag: tag, scope: read,
		summary: "List API keys, without the keys themselves"},
		func(ctx context.Context, who *omni.APIKey, in *Paging) (*many[omni.APIKey], error) {
			return manyOf(r.Keys.List(ctx, who, in.control()))
		})
	add(r, endpoint{id: "create-key", method: http.MethodPost, path: "/keys", tag: tag, scope: write,
		summary: "Create an API key", doc: "The key is shown this once.", status: http.StatusCreated},
		func(ctx context.Context, who *omni.APIKey, in *createKey) (*one[control.CreatedKey], error) {
			return oneOf(r.Keys.Create(ctx, who, in.Body))
		})
	add(r, endpoint{id: "delete-key", method: http.MethodDelete, path: "/keys/{id}", tag: tag, scope: write,
		summary: "End an API key", doc: "In every process within five seconds.", status: http.StatusNoContent},
		func(ctx context.Context, who *omni.APIKey, in *ByID) (*none, error) {
			return &none{}, r.Keys.Delete(ctx, who, in.ID.UUID)
		})
}
