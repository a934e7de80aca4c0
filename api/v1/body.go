package v1

import (
	"encoding/json"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"github.com/omnihub/omni/api/problem"
	"github.com/omnihub/omni/internal/control"
)

type uuidOf = uuid.UUID

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
