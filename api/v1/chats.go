package v1

import (
	"context"
	"net/http"

	"github.com/google/uuid"

	"github.com/omnihub/omni/internal/omni"
)

type listChats struct {
	Paging
	InstanceID uuid.UUID `query:"instanceId"`
	ChatID     uuid.UUID `query:"chatId"`
	PersonID   uuid.UUID `query:"personId" doc:"who a dm is with"`
	Type       string    `query:"type" enum:"dm,group"`
	Paused     string    `query:"paused" enum:"true,false" doc:"whether a person has taken over"`
}

func (in *listChats) filter() omni.ChatFilter {
	f := omni.ChatFilter{InstanceID: in.InstanceID, ChatID: in.ChatID, PersonID: in.PersonID, Type: in.Type}
	if in.Paused != "" {
		paused := in.Paused == "true"
		f.Paused = &paused
	}
	return f
}

type chatMessages struct {
	ByID
	Paging
}

func (r *routes) chats() {
	const tag, read = "chats", "chats:read"
	add(r, endpoint{id: "list-chats", method: http.MethodGet, path: "/chats", tag: tag, scope: read,
		summary: "List chats, newest first"},
		func(ctx context.Context, who *omni.APIKey, in *listChats) (*many[omni.Chat], error) {
			return manyOf(r.Chats.List(ctx, who, in.filter(), in.control()))
		})
	add(r, endpoint{id: "get-chat", method: http.MethodGet, path: "/chats/{id}", tag: tag, scope: read,
		summary: "Read a chat"},
		func(ctx context.Context, who *omni.APIKey, in *ByID) (*one[omni.Chat], error) {
			return oneOf(r.Chats.Get(ctx, who, in.ID.UUID))
		})
	add(r, endpoint{id: "list-chat-messages", method: http.MethodGet, path: "/chats/{id}/messages", tag: tag,
		scope: "messages:read", summary: "List a chat's messages, newest first"},
		func(ctx context.Context, who *omni.APIKey, in *chatMessages) (*many[omni.Message], error) {
			return manyOf(r.Chats.Messages(ctx, who, in.ID.UUID, in.control()))
		})
}
