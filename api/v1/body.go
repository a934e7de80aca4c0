package v1

import (
	"context"
	"encoding/json"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"github.com/omnihub/omni/api/problem"
	"github.com/omnihub/omni/internal/control"
	"github.com/omnihub/omni/internal/omni"
)

type uuidOf = uuid.UUID

// Partial is a body of which any part may be missing. It is read raw: which
// fields are there decides what is changed.
type Partial struct {
	RawBody []byte `contentType:"application/json"`
}

// PartialByID is one for something that exists.
type PartialByID struct {
	ByID
	Partial
}

// addCreate registers an operation whose body is an In of which any part may
// be missing.
func addCreate[In, Out any](r *routes, e endpoint, do func(context.Context, *omni.APIKey, json.RawMessage) (*Out, error)) {
	addPartial[In](r, e, func(ctx context.Context, who *omni.APIKey, in *Partial) (*Out, error) {
		return do(ctx, who, in.RawBody)
	}, func(in *Partial) []byte { return in.RawBody })
}

// addPatch registers an operation that merges such a body into what exists.
func addPatch[In, Out any](r *routes, e endpoint, do func(context.Context, *omni.APIKey, uuidOf, json.RawMessage) (*Out, error)) {
	addPartial[In](r, e, func(ctx context.Context, who *omni.APIKey, in *PartialByID) (*Out, error) {
		return do(ctx, who, in.ID.UUID, in.RawBody)
	}, func(in *PartialByID) []byte { return in.RawBody })
}

func addPartial[In, Req, Out any](r *routes, e endpoint, do func(context.Context, *omni.APIKey, *Req) (*Out, error), body func(*Req) []byte) {
	registry := r.api.OpenAPI().Components.Schemas
	schema := registry.Schema(reflect.TypeFor[In](), true, "")
	e.body = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{}}
	add(r, e, func(ctx context.Context, who *omni.APIKey, in *Req) (*one[Out], error) {
		if err := checkBody(registry, schema, body(in)); err != nil {
			return nil, err
		}
		return oneOf(do(ctx, who, in))
	})
	e.body.Content["application/json"] = &huma.MediaType{Schema: schema}
}

// checkBody holds a body that is read raw against its schema. Nulls are taken
// out first: in a merge patch they are no values, but say "the default".
func checkBody(registry huma.Registry, schema *huma.Schema, body []byte) error {
	var v any
	if err := json.Unmarshal(body, &v); err != nil {
		return problem.New(http.StatusBadRequest, control.CodeMalformed, "the body is not valid JSON")
	}
	res := &huma.ValidateResult{}
	path := huma.NewPathBuffer([]byte{}, 0)
	path.Push("body")
	huma.Validate(registry, schema, path, huma.ModeWriteToServer, withoutNulls(v), res)
	if len(res.Errors) == 0 {
		return nil
	}
	return huma.NewError(http.StatusUnprocessableEntity, "validation failed", res.Errors...)
}

func withoutNulls(v any) any {
	object, ok := v.(map[string]any)
	if !ok {
		return v
	}
	for k, field := range object {
		if field == nil {
			delete(object, k)
			continue
		}
		object[k] = withoutNulls(field)
	}
	return object
}
