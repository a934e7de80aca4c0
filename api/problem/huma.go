package problem

import (
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/omnihub/omni/internal/control"
)

// huma builds its own errors (validation, content types) by these package
// variables; there is no other hook. Ours replace them for the whole program.
func init() {
	// "debouncems" is a typing error, not debounceMs.
	huma.ValidateStrictCasing = true
	huma.NewError = func(status int, msg string, errs ...error) huma.StatusError {
		return fromHuma(status, msg, errs)
	}
	huma.NewErrorWithContext = func(ctx huma.Context, status int, msg string, errs ...error) huma.StatusError {
		p := fromHuma(status, msg, errs)
		p.RequestID = RequestID(ctx.Context())
		return p
	}
}

var codeOf = map[int]string{
	http.StatusBadRequest:            control.CodeMalformed,
	http.StatusRequestEntityTooLarge: "too_large",
	http.StatusUnsupportedMediaType:  "unsupported_media_type",
	http.StatusNotAcceptable:         "not_acceptable",
	http.StatusUnprocessableEntity:   control.CodeInvalid,
	http.StatusRequestTimeout:        "timeout",
}

func fromHuma(status int, msg string, errs []error) *Problem {
	code, ok := codeOf[status]
	if !ok {
		code = "internal"
	}
	if status == http.StatusInternalServerError {
		return New(status, code, "something went wrong here; the log has the details")
	}
	p := New(status, code, msg)
	if status == http.StatusBadRequest && len(errs) > 0 {
		p.Detail = "the body is not valid JSON"
	}
	for _, err := range errs {
		if d, ok := err.(huma.ErrorDetailer); ok {
			p.Errors = append(p.Errors, field(d.ErrorDetail()))
		}
	}
	if len(p.Errors) > 0 && status == http.StatusUnprocessableEntity {
		p.Detail = p.Errors[0].Field + ": " + p.Errors[0].Message
	}
	return p
}

// field leaves out the value: it may be a secret in the wrong place.
func field(d *huma.ErrorDetail) control.Field {
	path := fieldPath(d.Location)
	name, ok := strings.CutPrefix(d.Message, "expected required property ")
	if !ok {
		return control.Field{Field: path, Message: d.Message}
	}
	// huma names the object that lacks something; people look for the field.
	name = strings.TrimSuffix(name, " to be present")
	if path != "body" {
		name = path + "." + name
	}
	return control.Field{Field: name, Message: "is required"}
}

// fieldPath drops where the field was, and keeps its path there.
func fieldPath(location string) string {
	for _, place := range []string{"body.", "query.", "path.", "header."} {
		if rest, ok := strings.CutPrefix(location, place); ok {
			return rest
		}
	}
	return location
}
