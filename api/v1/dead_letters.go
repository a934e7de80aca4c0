package v1

import (
	"context"
	"net/http"

	"github.com/google/uuid"

	"github.com/omnihub/omni/internal/omni"
)

type listDeadLetters struct {
	Paging
	InstanceID uuid.UUID `query:"instanceId"`
	ChatID     uuid.UUID `query:"chatId"`
	PersonID   uuid.UUID `query:"personId"`
	Step       string    `query:"step" doc:"the step that was given up on (agent.Reply)" maxLength:"100"`
	Status     string    `query:"status" doc:"open until retried or resolved" maxLength:"40"`
}

func (r *routes) deadLetters() {
	const tag, read = "dead-letters", "dead-letters:read"
	add(r, endpoint{id: "list-dead-letters", method: http.MethodGet, path: "/dead-letters", tag: tag, scope: read,
		summary: "List steps that were given up on, newest first"},
		func(ctx context.Context, who *omni.APIKey, in *listDeadLetters) (*many[omni.DeadLetter], error) {
			return manyOf(r.DeadLetters.List(ctx, who, omni.DeadLetterFilter{InstanceID: in.InstanceID, ChatID: in.ChatID,
				PersonID: in.PersonID, Step: in.Step, Status: in.Status}, in.control()))
		})
	add(r, endpoint{id: "get-dead-letter", method: http.MethodGet, path: "/dead-letters/{id}", tag: tag, scope: read,
		summary: "Read a dead letter with the input of its step"},
		func(ctx context.Context, who *omni.APIKey, in *ByID) (*one[omni.DeadLetter], error) {
			return oneOf(r.DeadLetters.Get(ctx, who, in.ID.UUID))
		})
}
