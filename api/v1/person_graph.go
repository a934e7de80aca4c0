package v1

import (
	"context"
	"net/http"

	"github.com/google/uuid"

	"github.com/omnihub/omni/internal/control"
	"github.com/omnihub/omni/internal/omni"
)

type mergePersons struct{ Body control.MergeRequest }

type linkIdentity struct{ Body control.LinkRequest }

type unlinkIdentity struct{ Body control.UnlinkRequest }

type listSuggestions struct {
	Paging
	Status     string    `query:"status" enum:"open,confirmed,dismissed" default:"open"`
	PersonID   uuid.UUID `query:"personId"`
	InstanceID uuid.UUID `query:"instanceId"`
}

type listMerges struct {
	Paging
	PersonID uuid.UUID `query:"personId" doc:"on either side"`
}

func (r *routes) personGraph() {
	const tag, read, write = "persons", "persons:read", "persons:write"
	add(r, endpoint{id: "merge-persons", method: http.MethodPost, path: "/persons/merge", tag: tag, scope: write,
		summary: "Make one person of two",
		doc: "The target is kept. Accounts, messages, chats, rules and what the agent remembers become the target's; events are found " +
			"by either's messages. POST /merges/{id}/undo takes it back."},
		func(ctx context.Context, who *omni.APIKey, in *mergePersons) (*one[omni.Merge], error) {
			return oneOf(r.PersonGraph.Merge(ctx, who, in.Body))
		})
	add(r, endpoint{id: "link-identity", method: http.MethodPost, path: "/persons/link", tag: tag, scope: write,
		summary: "Make an account a person's",
		doc:     "A person whose last account it was is gone, as after a merge. Answers with the change, which can be undone."},
		func(ctx context.Context, who *omni.APIKey, in *linkIdentity) (*one[omni.Merge], error) {
			return oneOf(r.PersonGraph.Link(ctx, who, in.Body))
		})
	add(r, endpoint{id: "unlink-identity", method: http.MethodPost, path: "/persons/unlink", tag: tag, scope: write,
		summary: "Give an account a person of its own",
		doc:     "Answers with the change, which can be undone; personId is the new person. Evidence does not link the account again."},
		func(ctx context.Context, who *omni.APIKey, in *unlinkIdentity) (*one[omni.Merge], error) {
			return oneOf(r.PersonGraph.Unlink(ctx, who, in.Body))
		})
	add(r, endpoint{id: "list-merges", method: http.MethodGet, path: "/merges", tag: tag, scope: read,
		summary: "List what changed who is who, by people and by evidence, newest first"},
		func(ctx context.Context, who *omni.APIKey, in *listMerges) (*many[omni.Merge], error) {
			return manyOf(r.PersonGraph.Merges(ctx, who, omni.MergeFilter{PersonID: in.PersonID}, in.control()))
		})
	add(r, endpoint{id: "get-merge", method: http.MethodGet, path: "/merges/{id}", tag: tag, scope: read,
		summary: "Read a merge, link or unlink with its evidence"},
		func(ctx context.Context, who *omni.APIKey, in *ByID) (*one[omni.Merge], error) {
			return oneOf(r.PersonGraph.GetMerge(ctx, who, in.ID.UUID))
		})
	add(r, endpoint{id: "undo-merge", method: http.MethodPost, path: "/merges/{id}/undo", tag: tag, scope: write,
		summary: "Take a merge, link or unlink back",
		doc: "The accounts that moved go back with all that came since, and the persons are as they were. 409 where it was undone " +
			"before, or where a later change stands on it: that one is named, and undone first."},
		func(ctx context.Context, who *omni.APIKey, in *ByID) (*one[omni.Merge], error) {
			return oneOf(r.PersonGraph.Undo(ctx, who, in.ID.UUID))
		})
	r.suggestions()
}

func (r *routes) suggestions() {
	const tag, read, write = "persons", "persons:read", "persons:write"
	add(r, endpoint{id: "list-suggestions", method: http.MethodGet, path: "/persons/suggestions", tag: tag, scope: read,
		summary: "List pairs of persons that may be one, with reasons, newest first"},
		func(ctx context.Context, who *omni.APIKey, in *listSuggestions) (*many[omni.Suggestion], error) {
			return manyOf(r.PersonGraph.Suggestions(ctx, who, omni.SuggestionFilter{Status: in.Status, PersonID: in.PersonID,
				InstanceID: in.InstanceID}, in.control()))
		})
	add(r, endpoint{id: "confirm-suggestion", method: http.MethodPost, path: "/persons/suggestions/{id}/confirm", tag: tag, scope: write,
		summary: "Merge the two persons of a suggestion; the elder is kept"},
		func(ctx context.Context, who *omni.APIKey, in *ByID) (*one[omni.Merge], error) {
			return oneOf(r.PersonGraph.Confirm(ctx, who, in.ID.UUID))
		})
	add(r, endpoint{id: "dismiss-suggestion", method: http.MethodPost, path: "/persons/suggestions/{id}/dismiss", tag: tag, scope: write,
		summary: "Say that the two are not one: they are not suggested again"},
		func(ctx context.Context, who *omni.APIKey, in *ByID) (*one[omni.Suggestion], error) {
			return oneOf(r.PersonGraph.Dismiss(ctx, who, in.ID.UUID))
		})
}
