package v1

import (
	"context"
	"net/http"

	"github.com/omnihub/omni/internal/control"
	"github.com/omnihub/omni/internal/omni"
)

type listInstances struct {
	Paging
	Channel string `query:"channel" doc:"only of this channel"`
	Status  string `query:"status" enum:"active,inactive,connecting,error,needs_login"`
}

func (r *routes) instances() {
	const tag, read, write = "instances", "instances:read", "instances:write"
	add(r, endpoint{id: "list-instances", method: http.MethodGet, path: "/instances", tag: tag, scope: read,
		summary: "List instances"},
		func(ctx context.Context, who *omni.APIKey, in *listInstances) (*many[control.Instance], error) {
			return manyOf(r.Instances.List(ctx, who, omni.InstanceFilter{Channel: in.Channel, Status: in.Status}, in.control()))
		})
	addCreate[control.InstanceInput](r, endpoint{id: "create-instance", method: http.MethodPost, path: "/instances", tag: tag, scope: write,
		summary: "Create an instance", doc: "It connects by itself. Fields left out take their defaults.",
		status: http.StatusCreated}, r.Instances.Create)
	add(r, endpoint{id: "get-instance", method: http.MethodGet, path: "/instances/{id}", tag: tag, scope: read,
		summary: "Read an instance"},
		func(ctx context.Context, who *omni.APIKey, in *ByID) (*one[control.Instance], error) {
			return oneOf(r.Instances.Get(ctx, who, in.ID.UUID))
		})
	addPatch[control.InstanceInput](r, endpoint{id: "update-instance", method: http.MethodPatch, path: "/instances/{id}", tag: tag,
		scope: write, summary: "Change an instance",
		doc: "A JSON merge patch: fields left out stay, null puts one back to its default, ••• leaves a secret as it is."}, r.Instances.Patch)
	add(r, endpoint{id: "delete-instance", method: http.MethodDelete, path: "/instances/{id}", tag: tag, scope: write,
		summary: "Delete an instance", doc: "What it recorded stays.", status: http.StatusNoContent},
		func(ctx context.Context, who *omni.APIKey, in *ByID) (*none, error) {
			return &none{}, r.Instances.Delete(ctx, who, in.ID.UUID)
		})
	add(r, endpoint{id: "instance-status", method: http.MethodGet, path: "/instances/{id}/status", tag: tag, scope: read,
		summary: "Read the state of the connection"},
		func(ctx context.Context, who *omni.APIKey, in *ByID) (*one[control.InstanceStatus], error) {
			return oneOf(r.Instances.Status(ctx, who, in.ID.UUID))
		})
	add(r, endpoint{id: "instance-qr", method: http.MethodGet, path: "/instances/{id}/qr", tag: tag, scope: read,
		summary: "Read the QR code to log in with", doc: "Only for channels that need it; see GET /channels."},
		func(ctx context.Context, who *omni.APIKey, in *ByID) (*none, error) {
			return &none{}, r.Instances.QR(ctx, who, in.ID.UUID)
		})
	r.instanceAction("connect", "Connect an instance", r.Instances.Connect)
	r.instanceAction("disconnect", "Disconnect an instance until it is connected again", r.Instances.Disconnect)
	r.instanceAction("restart", "Close the session and open a new one", r.Instances.Restart)
}

func (r *routes) instanceAction(verb, summary string, do func(context.Context, *omni.APIKey, uuidOf) (*control.Instance, error)) {
	add(r, endpoint{id: verb + "-instance", method: http.MethodPost, path: "/instances/{id}/" + verb, tag: "instances",
		scope: "instances:write", summary: summary},
		func(ctx context.Context, who *omni.APIKey, in *ByID) (*one[control.Instance], error) {
			return oneOf(do(ctx, who, in.ID.UUID))
		})
}
