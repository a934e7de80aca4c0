package v1

import (
	"context"
	"net/http"

	"github.com/google/uuid"

	"github.com/omnihub/omni/internal/control"
	"github.com/omnihub/omni/internal/omni"
)

type listAccessRules struct {
	Paging
	InstanceID uuid.UUID `query:"instanceId" doc:"only of this instance; without it, those of every instance too"`
	PersonID   uuid.UUID `query:"personId"`
	Type       string    `query:"type" enum:"allow,deny,silent"`
	Source     string    `query:"source" enum:"api,pairing" doc:"who made it"`
}

type listPairings struct {
	Paging
	InstanceID uuid.UUID `query:"instanceId"`
	Status     string    `query:"status" enum:"open,approved,rejected,expired"`
}

type checkAccess struct{ Body control.AccessCheckRequest }

type decidePairing struct{ Body control.PairingRequest }

const tagAccess, accessRead, accessWrite = "access", "access:read", "access:write"

func (r *routes) access() {
	add(r, endpoint{id: "list-access-rules", method: http.MethodGet, path: "/access/rules", tag: tagAccess, scope: accessRead,
		summary: "List access rules, newest first"},
		func(ctx context.Context, who *omni.APIKey, in *listAccessRules) (*many[omni.AccessRule], error) {
			return manyOf(r.Access.List(ctx, who, omni.AccessRuleFilter{InstanceID: in.InstanceID, PersonID: in.PersonID,
				Type: in.Type, Source: in.Source}, in.control()))
		})
	addCreate[control.AccessRuleInput](r, endpoint{id: "create-access-rule", method: http.MethodPost, path: "/access/rules", tag: tagAccess,
		scope: accessWrite, summary: "Create an access rule", doc: "The very next message is decided by it.", status: http.StatusCreated},
		r.Access.Create)
	addPatch[control.AccessRuleInput](r, endpoint{id: "update-access-rule", method: http.MethodPatch, path: "/access/rules/{id}", tag: tagAccess,
		scope: accessWrite, summary: "Change an access rule", doc: "A JSON merge patch: fields left out stay, null takes one away."},
		r.Access.Patch)
	add(r, endpoint{id: "get-access-rule", method: http.MethodGet, path: "/access/rules/{id}", tag: tagAccess, scope: accessRead,
		summary: "Read an access rule"},
		func(ctx context.Context, who *omni.APIKey, in *ByID) (*one[omni.AccessRule], error) {
			return oneOf(r.Access.Get(ctx, who, in.ID.UUID))
		})
	add(r, endpoint{id: "delete-access-rule", method: http.MethodDelete, path: "/access/rules/{id}", tag: tagAccess, scope: accessWrite,
		summary: "Delete an access rule", doc: "The next message is decided without it.", status: http.StatusNoContent},
		func(ctx context.Context, who *omni.APIKey, in *ByID) (*none, error) {
			return &none{}, r.Access.Delete(ctx, who, in.ID.UUID)
		})
	add(r, endpoint{id: "check-access", method: http.MethodPost, path: "/access/check", tag: tagAccess, scope: accessRead,
		summary: "Explain how a message of somebody would be decided about",
		doc:     "Writes nothing, and takes nothing from a rate limit."},
		func(ctx context.Context, who *omni.APIKey, in *checkAccess) (*one[control.AccessCheck], error) {
			return oneOf(r.Access.Check(ctx, who, in.Body))
		})
	add(r, endpoint{id: "list-pairings", method: http.MethodGet, path: "/access/pairings", tag: tagAccess, scope: accessRead,
		summary: "List strangers who were given a code, newest first"},
		func(ctx context.Context, who *omni.APIKey, in *listPairings) (*many[omni.Pairing], error) {
			return manyOf(r.Access.Pairings(ctx, who, omni.PairingFilter{InstanceID: in.InstanceID, Status: in.Status}, in.control()))
		})
	add(r, endpoint{id: "decide-pairing", method: http.MethodPost, path: "/access/pairings", tag: tagAccess, scope: accessWrite,
		summary: "Let a stranger in by the code they were told, or reject them",
		doc: "Approving makes a rule that allows the account on that instance. After ten wrong codes within ten minutes codes are not " +
			"looked at: 429."},
		func(ctx context.Context, who *omni.APIKey, in *decidePairing) (*one[omni.Pairing], error) {
			return oneOf(r.Access.Pair(ctx, who, in.Body))
		})
}
