package v1

import (
	"context"
	"net/http"

	"github.com/google/uuid"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/control"
	"github.com/omnihub/omni/internal/omni"
)

type createRoute struct {
	ByID
	Body control.RouteRequest
}

type deleteRoutes struct {
	ByID
	RouteID  uuid.UUID `query:"routeId"`
	ChatID   uuid.UUID `query:"chatId" doc:"the routes of that chat"`
	PersonID uuid.UUID `query:"personId" doc:"the routes of that person"`
	ChatType string    `query:"chatType" enum:"dm,group" doc:"the routes of all chats of that type"`
}

type deleteRoute struct {
	ByID
	RouteID pathID `path:"routeId"`
}

type explainRoute struct {
	ByID
	ChatID   uuid.UUID `query:"chatId"`
	PersonID uuid.UUID `query:"personId" doc:"left out in a dm: the person it is with"`
	ChatType string    `query:"chatType" enum:"dm,group" doc:"of a chat that is not known yet"`
}

// given is an id that was given, nil for none.
func given(id uuid.UUID) *uuid.UUID {
	if id == uuid.Nil {
		return nil
	}
	return &id
}

func (r *routes) agentRoutes() {
	const tag, read, write = "agents", "instances:read", "instances:write"
	add(r, endpoint{id: "list-routes", method: http.MethodGet, path: "/instances/{id}/routes", tag: tag, scope: read,
		summary: "List an instance's routes, in the order in which they are looked at"},
		func(ctx context.Context, who *omni.APIKey, in *ByID) (*many[omni.AgentRoute], error) {
			list, err := r.Routes.List(ctx, who, in.ID.UUID)
			if err != nil {
				return nil, err
			}
			return manyOf(&control.List[omni.AgentRoute]{Items: *list}, nil)
		})
	add(r, endpoint{id: "create-route", method: http.MethodPost, path: "/instances/{id}/routes", tag: tag, scope: write,
		summary: "Give a chat, a person, or all chats of a type an agent",
		doc: "A chat's route goes before a person's, a person's before that of all groups or dms, and that before the instance's own agent. " +
			"It holds for the next turn.", status: http.StatusCreated},
		func(ctx context.Context, who *omni.APIKey, in *createRoute) (*one[omni.AgentRoute], error) {
			return oneOf(r.Routes.Create(ctx, who, in.ID.UUID, in.Body))
		})
	add(r, endpoint{id: "delete-routes", method: http.MethodDelete, path: "/instances/{id}/routes", tag: tag, scope: write,
		summary: "Delete an instance's routes, by id or by whom they are for", status: http.StatusNoContent},
		func(ctx context.Context, who *omni.APIKey, in *deleteRoutes) (*none, error) {
			return &none{}, r.Routes.Delete(ctx, who, in.ID.UUID, omni.RouteFilter{ID: given(in.RouteID), ChatID: given(in.ChatID),
				PersonID: given(in.PersonID), ChatType: message.ChatType(in.ChatType)})
		})
	add(r, endpoint{id: "delete-route", method: http.MethodDelete, path: "/instances/{id}/routes/{routeId}", tag: tag, scope: write,
		summary: "Delete a route", status: http.StatusNoContent},
		func(ctx context.Context, who *omni.APIKey, in *deleteRoute) (*none, error) {
			return &none{}, r.Routes.Delete(ctx, who, in.ID.UUID, omni.RouteFilter{ID: &in.RouteID.UUID})
		})
	add(r, endpoint{id: "explain-routes", method: http.MethodGet, path: "/instances/{id}/routes/explain", tag: tag, scope: read,
		summary: "Say which agent would answer, and why"},
		func(ctx context.Context, who *omni.APIKey, in *explainRoute) (*one[control.RouteExplanation], error) {
			return oneOf(r.Routes.Explain(ctx, who, in.ID.UUID, omni.RouteSubject{ChatID: in.ChatID, PersonID: in.PersonID,
				ChatType: message.ChatType(in.ChatType)}))
		})
}
