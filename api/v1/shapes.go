package v1

import (
	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"github.com/omnihub/omni/internal/control"
)

// Data is the envelope of one object.
type Data[T any] struct {
	Data T `json:"data" required:"true"`
}

// Page is the envelope of a list.
type Page[T any] struct {
	Data []T  `json:"data" required:"true" nullable:"false"`
	Meta Meta `json:"meta" required:"true"`
}

// Meta says how a list goes on.
type Meta struct {
	NextCursor *string `json:"nextCursor" doc:"hand it over as cursor for the next page; null on the last one"`
}

// one is an answer with one object.
type one[T any] struct{ Body Data[T] }

// many is an answer with a list.
type many[T any] struct{ Body Page[T] }

// none is an answer without a body.
type none struct{}

func oneOf[T any](v *T, err error) (*one[T], error) {
	if err != nil {
		return nil, err
	}
	return &one[T]{Body: Data[T]{Data: *v}}, nil
}

func manyOf[T any](l *control.List[T], err error) (*many[T], error) {
	if err != nil {
		return nil, err
	}
	out := &many[T]{Body: Page[T]{Data: l.Items}}
	if out.Body.Data == nil {
		out.Body.Data = []T{}
	}
	if l.Next != "" {
		out.Body.Meta.NextCursor = &l.Next
	}
	return out, nil
}

// pathID is an id in a path. What is no UUID is the id of nothing: it answers
// 404 like any other unknown id, not a complaint about its form.
type pathID struct{ uuid.UUID }

// UnmarshalText never fails.
func (p *pathID) UnmarshalText(text []byte) error {
	id, err := uuid.ParseBytes(text)
	if err != nil {
		id = uuid.Nil
	}
	p.UUID = id
	return nil
}

// Schema of the parameter. The format is said in words: huma would check it.
func (pathID) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Description: "a UUID"}
}

// ByID are the parameters of an operation on one object. Exported, as huma
// looks into embedded types only then.
type ByID struct {
	ID pathID `path:"id"`
}

// Paging are the parameters of every list.
type Paging struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"50" doc:"how many at most"`
	Cursor string `query:"cursor" doc:"meta.nextCursor of the page before" maxLength:"200"`
}

func (p Paging) control() control.Paging { return control.Paging{Limit: p.Limit, Cursor: p.Cursor} }
