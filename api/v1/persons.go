package v1

import (
	"context"
	"net/http"

	"github.com/google/uuid"

	"github.com/omnihub/omni/internal/omni"
)

type listPersons struct {
	Paging
	Query      string    `query:"q" doc:"part of a name, username, phone, email or platform id" maxLength:"200"`
	InstanceID uuid.UUID `query:"instanceId"`
	PersonID   uuid.UUID `query:"personId"`
}

func (r *routes) persons() {
	const tag, read = "persons", "persons:read"
	add(r, endpoint{id: "list-persons", method: http.MethodGet, path: "/persons", tag: tag, scope: read,
		summary: "Search persons, newest first"},
		func(ctx context.Context, who *omni.APIKey, in *listPersons) (*many[omni.Person], error) {
			return manyOf(r.Persons.List(ctx, who, omni.PersonFilter{Query: in.Query, InstanceID: in.InstanceID,
				PersonID: in.PersonID}, in.control()))
		})
	add(r, endpoint{id: "get-person", method: http.MethodGet, path: "/persons/{id}", tag: tag, scope: read,
		summary: "Read a person with their identities"},
		func(ctx context.Context, who *omni.APIKey, in *ByID) (*one[omni.Person], error) {
			return oneOf(r.Persons.Get(ctx, who, in.ID.UUID))
		})
	add(r, endpoint{id: "list-person-identities", method: http.MethodGet, path: "/persons/{id}/identities", tag: tag,
		scope: read, summary: "List a person's accounts, the last used first"},
		func(ctx context.Context, who *omni.APIKey, in *ByID) (*one[[]omni.Identity], error) {
			p, err := r.Persons.Get(ctx, who, in.ID.UUID)
			if err != nil {
				return nil, err
			}
			return oneOf(&p.Identities, nil)
		})
}
