package v1

import (
	"context"
	"net/http"

	"github.com/omnihub/omni/internal/control"
	"github.com/omnihub/omni/internal/omni"
)

type testAgent struct {
	ByID
	Body control.AgentTestRequest
}

func (r *routes) agents() {
	const tag, read, write = "agents", "agents:read", "agents:write"
	add(r, endpoint{id: "list-agents", method: http.MethodGet, path: "/agents", tag: tag, scope: read,
		summary: "List agents, newest first", doc: "Those that instances and routes may name; an instance's own agent is a field of the instance."},
		func(ctx context.Context, who *omni.APIKey, in *Paging) (*many[control.Agent], error) {
			return manyOf(r.Agents.List(ctx, who, in.control()))
		})
	addCreate[control.NamedAgentInput](r, endpoint{id: "create-agent", method: http.MethodPost, path: "/agents", tag: tag, scope: write,
		summary: "Create an agent", doc: "A name, and the fields of an instance's agent. Fields left out take their defaults.",
		status: http.StatusCreated}, r.Agents.Create)
	add(r, endpoint{id: "get-agent", method: http.MethodGet, path: "/agents/{id}", tag: tag, scope: read,
		summary: "Read an agent, and how it did of late"},
		func(ctx context.Context, who *omni.APIKey, in *ByID) (*one[control.Agent], error) {
			return oneOf(r.Agents.Get(ctx, who, in.ID.UUID))
		})
	addPatch[control.NamedAgentInput](r, endpoint{id: "update-agent", method: http.MethodPatch, path: "/agents/{id}", tag: tag, scope: write,
		summary: "Change an agent", doc: "A JSON merge patch: fields left out stay, null puts one back to its default, ••• leaves the key " +
			"as it is. It holds for the next turn. The key must be given again where provider or apiUrl change."}, r.Agents.Patch)
	add(r, endpoint{id: "delete-agent", method: http.MethodDelete, path: "/agents/{id}", tag: tag, scope: write,
		summary: "Delete an agent", doc: "409 agent_in_use while a route or an instance names it. A turn that it was to answer fails with a dead letter.",
		status: http.StatusNoContent},
		func(ctx context.Context, who *omni.APIKey, in *ByID) (*none, error) {
			return &none{}, r.Agents.Delete(ctx, who, in.ID.UUID)
		})
	add(r, endpoint{id: "test-agent", method: http.MethodPost, path: "/agents/{id}/test", tag: tag, scope: write,
		summary: "Ask an agent something", doc: "Calls the agent as a turn in a dm would, and says what came of it: an answer, or its error. " +
			"Nothing is kept of it, and nothing that the agent wants done is."},
		func(ctx context.Context, who *omni.APIKey, in *testAgent) (*one[control.AgentTest], error) {
			return oneOf(r.Agents.Test(ctx, who, in.ID.UUID, in.Body))
		})
}
