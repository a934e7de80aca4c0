package v1

import (
	"context"
	"net/http"

	"github.com/google/uuid"

	"github.com/omnihub/omni/internal/control"
	"github.com/omnihub/omni/internal/omni"
)

type listDeadLetters struct {
	Paging
	InstanceID uuid.UUID `query:"instanceId"`
	ChatID     uuid.UUID `query:"chatId"`
	PersonID   uuid.UUID `query:"personId"`
	Step       string    `query:"step" doc:"the step that was given up on (agent.Reply)" maxLength:"100"`
	Cause      string    `query:"cause" doc:"why, as the dead letters have it" maxLength:"100"`
	Status     string    `query:"status" enum:"open,retried,resolved"`
}

type selectDeadLetters struct{ Body control.DeadLetterSelection }

func (r *routes) deadLetters() {
	const tag, read = "dead-letters", "dead-letters:read"
	add(r, endpoint{id: "list-dead-letters", method: http.MethodGet, path: "/dead-letters", tag: tag, scope: read,
		summary: "List steps that were given up on, newest first"},
		func(ctx context.Context, who *omni.APIKey, in *listDeadLetters) (*many[omni.DeadLetter], error) {
			return manyOf(r.DeadLetters.List(ctx, who, omni.DeadLetterFilter{InstanceID: in.InstanceID, ChatID: in.ChatID,
				PersonID: in.PersonID, Step: in.Step, Cause: in.Cause, Status: in.Status}, in.control()))
		})
	add(r, endpoint{id: "get-dead-letter", method: http.MethodGet, path: "/dead-letters/{id}", tag: tag, scope: read,
		summary: "Read a dead letter with the input of its step"},
		func(ctx context.Context, who *omni.APIKey, in *ByID) (*one[omni.DeadLetter], error) {
			return oneOf(r.DeadLetters.Get(ctx, who, in.ID.UUID))
		})
	r.mendDeadLetters()
}

func (r *routes) mendDeadLetters() {
	const tag, write = "dead-letters", "dead-letters:write"
	add(r, endpoint{id: "retry-dead-letter", method: http.MethodPost, path: "/dead-letters/{id}/retry", tag: tag, scope: write,
		summary: "Go on from the step that failed",
		doc: "Once, however often it is called: what was delivered is not sent again, and agent and channel see the same idempotency keys. " +
			"In its chat it waits for its turn. While the retry is under way, another call is answered like the first; " +
			"afterwards, and where nothing can be retried, 409."},
		func(ctx context.Context, who *omni.APIKey, in *ByID) (*one[omni.DeadLetter], error) {
			return oneOf(r.DeadLetters.Retry(ctx, who, in.ID.UUID))
		})
	add(r, endpoint{id: "resolve-dead-letter", method: http.MethodPost, path: "/dead-letters/{id}/resolve", tag: tag, scope: write,
		summary: "Close a dead letter without trying again"},
		func(ctx context.Context, who *omni.APIKey, in *ByID) (*one[omni.DeadLetter], error) {
			return oneOf(r.DeadLetters.Resolve(ctx, who, in.ID.UUID))
		})
	add(r, endpoint{id: "retry-dead-letters", method: http.MethodPost, path: "/dead-letters/retry", tag: tag, scope: write,
		summary: "Retry every open dead letter of a cause, step, instance, chat or person",
		doc:     "Oldest first. With dryRun they are only counted."},
		func(ctx context.Context, who *omni.APIKey, in *selectDeadLetters) (*one[control.DeadLetterBulk], error) {
			return oneOf(r.DeadLetters.RetryAll(ctx, who, in.Body))
		})
	add(r, endpoint{id: "resolve-dead-letters", method: http.MethodPost, path: "/dead-letters/resolve", tag: tag, scope: write,
		summary: "Close every open dead letter of a cause, step, instance, chat or person",
		doc:     "With dryRun they are only counted."},
		func(ctx context.Context, who *omni.APIKey, in *selectDeadLetters) (*one[control.DeadLetterBulk], error) {
			return oneOf(r.DeadLetters.ResolveAll(ctx, who, in.Body))
		})
}
