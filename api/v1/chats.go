package v1

import (
	"context"
	"net/http"
	"time"

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

// Takeover is how long a person keeps a chat.
type Takeover struct {
	UntilSeconds int    `json:"untilSeconds,omitempty" minimum:"1" maximum:"31536000" doc:"absent: until resumed"`
	Reason       string `json:"reason,omitempty" maxLength:"500" doc:"for people: it is said in the event chat.takeover"`
}

type takeoverChat struct {
	ByID
	Body *Takeover
}

type chatMessages struct {
	ByID
	Paging
}

func (r *routes) chats() {
	const tag, read, write = "chats", "chats:read", "chats:write"
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
	add(r, endpoint{id: "takeover-chat", method: http.MethodPost, path: "/chats/{id}/takeover", tag: tag, scope: write,
		summary: "Take a chat over: the agent is silent, the answer being made is cancelled"},
		func(ctx context.Context, who *omni.APIKey, in *takeoverChat) (*one[omni.Chat], error) {
			var t Takeover
			if in.Body != nil {
				t = *in.Body
			}
			return oneOf(r.Chats.Takeover(ctx, who, in.ID.UUID, time.Duration(t.UntilSeconds)*time.Second, t.Reason))
		})
	add(r, endpoint{id: "resume-chat", method: http.MethodPost, path: "/chats/{id}/resume", tag: tag, scope: write,
		summary: "Let the agent answer again"},
		func(ctx context.Context, who *omni.APIKey, in *ByID) (*one[omni.Chat], error) {
			return oneOf(r.Chats.Resume(ctx, who, in.ID.UUID))
		})
	add(r, endpoint{id: "reset-chat", method: http.MethodPost, path: "/chats/{id}/reset", tag: tag, scope: write,
		summary: "Begin the conversation with the agent anew: it is told nothing of what was said before"},
		func(ctx context.Context, who *omni.APIKey, in *ByID) (*one[omni.Chat], error) {
			return oneOf(r.Chats.Reset(ctx, who, in.ID.UUID))
		})
}
