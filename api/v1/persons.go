package v1

import (
	"context"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"github.com/omnihub/omni/internal/control"
	"github.com/omnihub/omni/internal/omni"
)

type listPersons struct {
	Paging
	Query      string    `query:"q" doc:"parts of a name, username, phone, e-mail or platform id: each word must fit, case and accents and the formatting of numbers do not matter" maxLength:"200"`
	InstanceID uuid.UUID `query:"instanceId"`
	PersonID   uuid.UUID `query:"personId"`
}

type personTimeline struct {
	ByID
	Paging
	InstanceID uuid.UUID `query:"instanceId"`
	ChatID     uuid.UUID `query:"chatId"`
	Type       string    `query:"type" enum:"text,image,audio,video,document,sticker,location,contact,poll,reaction,buttons" doc:"only content of this type"`
	Direction  string    `query:"direction" enum:"inbound,outbound"`
	Since      string    `query:"since" doc:"only from this time on (RFC 3339)" maxLength:"64"`
	Until      string    `query:"until" doc:"only before this time (RFC 3339)" maxLength:"64"`
}

func (in *personTimeline) filter() control.TimelineQuery {
	return control.TimelineQuery{InstanceID: in.InstanceID, ChatID: in.ChatID, Type: in.Type, Direction: in.Direction,
		Since: in.Since, Until: in.Until}
}

type patchPerson struct {
	ByID
	RawBody []byte `contentType:"application/json"`
}

// updatePerson has a body of which every part may be missing or null.
func (r *routes) updatePerson() {
	registry := r.api.OpenAPI().Components.Schemas
	schema := registry.Schema(reflect.TypeFor[control.PersonInput](), true, "PersonInput")
	e := endpoint{id: "update-person", method: http.MethodPatch, path: "/persons/{id}", tag: "persons", scope: "persons:write",
		summary: "Change what is said of a person", doc: "A JSON merge patch: fields left out stay, null takes one away. Accounts keep what their platform says.",
		body: &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{}}}
	add(r, e, func(ctx context.Context, who *omni.APIKey, in *patchPerson) (*one[omni.Person], error) {
		if err := checkBody(registry, schema, in.RawBody); err != nil {
			return nil, err
		}
		return oneOf(r.Persons.Update(ctx, who, in.ID.UUID, in.RawBody))
	})
	e.body.Content["application/json"] = &huma.MediaType{Schema: schema}
}

func (r *routes) persons() {
	const tag, read = "persons", "persons:read"
	add(r, endpoint{id: "list-persons", method: http.MethodGet, path: "/persons", tag: tag, scope: read,
		summary: "Search persons, the best match first; without q: list them, newest first",
		doc: "A whole field that matches comes before its beginning, that before the beginning of a word, that before any part; " +
			"then newest first. Words of one or two letters match where a word begins. Where thousands match, those of exactly that name come " +
			"first and all others newest first; a page may then be short and still have a next one."},
		func(ctx context.Context, who *omni.APIKey, in *listPersons) (*many[omni.Person], error) {
			return manyOf(r.Persons.List(ctx, who, omni.PersonFilter{Query: in.Query, InstanceID: in.InstanceID,
				PersonID: in.PersonID}, in.control()))
		})
	add(r, endpoint{id: "get-person", method: http.MethodGet, path: "/persons/{id}", tag: tag, scope: read,
		summary: "Read a person with their identities",
		doc:     "Under the id of somebody who was merged into another person it answers with that person; so do all routes of a person."},
		func(ctx context.Context, who *omni.APIKey, in *ByID) (*one[omni.Person], error) {
			return oneOf(r.Persons.Get(ctx, who, in.ID.UUID))
		})
	r.updatePerson()
	add(r, endpoint{id: "person-timeline", method: http.MethodGet, path: "/persons/{id}/timeline", tag: tag,
		scope: "messages:read", summary: "List everything said by a person and to them, on all channels, newest first",
		doc: "What their accounts wrote, in groups too, what was answered, and what was sent in the chats with them."},
		func(ctx context.Context, who *omni.APIKey, in *personTimeline) (*many[omni.Message], error) {
			return manyOf(r.Persons.Timeline(ctx, who, in.ID.UUID, in.filter(), in.control()))
		})
	add(r, endpoint{id: "person-presence", method: http.MethodGet, path: "/persons/{id}/presence", tag: tag, scope: read,
		summary: "Tell whether a person is there now, and when they last were",
		doc:     "Live: webchat knows who has the page open; of other channels only typing is known, and what is not known is said to be unknown."},
		func(ctx context.Context, who *omni.APIKey, in *ByID) (*one[omni.Presence], error) {
			return oneOf(r.Persons.Presence(ctx, who, in.ID.UUID))
		})
	add(r, endpoint{id: "list-person-identities", method: http.MethodGet, path: "/persons/{id}/identities", tag: tag,
		scope: read, summary: "List a person's accounts, the last used first"},
		func(ctx context.Context, who *omni.APIKey, in *ByID) (*many[omni.Identity], error) {
			p, err := r.Persons.Get(ctx, who, in.ID.UUID)
			if err != nil {
				return nil, err
			}
			return manyOf(&control.List[omni.Identity]{Items: p.Identities}, nil)
		})
}
