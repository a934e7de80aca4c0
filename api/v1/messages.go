package v1

import (
	"context"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/omnihub/omni/internal/control"
	"github.com/omnihub/omni/internal/omni"
)

type sendMessage struct {
	Key  string `header:"Idempotency-Key" doc:"the same key with the same body is the same message, for 24 hours" maxLength:"255"`
	Wait int    `query:"wait" minimum:"0" maximum:"60" doc:"seconds to wait for the outcome"`
	Body control.SendRequest
}

type listMessages struct {
	Paging
	InstanceID uuid.UUID `query:"instanceId"`
	ChatID     uuid.UUID `query:"chatId"`
	PersonID   uuid.UUID `query:"personId"`
	TurnID     uuid.UUID `query:"turnId"`
	Direction  string    `query:"direction" enum:"inbound,outbound"`
	Status     string    `query:"status" enum:"received,denied,processing,answered,ignored,paused,cancelled,failed,scheduled,queued,sending,sent,delivered,read,unknown,expired"`
}

type resolveDelivery struct {
	ByID
	Body control.DeliveryWord
}

func (in *listMessages) filter() omni.MessageFilter {
	return omni.MessageFilter{InstanceID: in.InstanceID, ChatID: in.ChatID, PersonID: in.PersonID, TurnID: in.TurnID,
		Direction: in.Direction, Status: in.Status}
}

func (r *routes) messages() {
	const tag, read, write = "messages", "messages:read", "messages:write"
	add(r, endpoint{id: "send-message", method: http.MethodPost, path: "/messages", tag: tag, scope: write,
		summary: "Send a message", status: http.StatusAccepted,
		doc: "Accepted is stored: it will be sent, once. With an Idempotency-Key the call may be repeated safely."},
		func(ctx context.Context, who *omni.APIKey, in *sendMessage) (*one[control.Sent], error) {
			return oneOf(r.Messages.Send(ctx, who, in.Body,
				control.SendOptions{Key: in.Key, Wait: time.Duration(in.Wait) * time.Second}))
		})
	add(r, endpoint{id: "list-messages", method: http.MethodGet, path: "/messages", tag: tag, scope: read,
		summary: "List messages, newest first"},
		func(ctx context.Context, who *omni.APIKey, in *listMessages) (*many[omni.Message], error) {
			return manyOf(r.Messages.List(ctx, who, in.filter(), in.control()))
		})
	add(r, endpoint{id: "get-message", method: http.MethodGet, path: "/messages/{id}", tag: tag, scope: read,
		summary: "Read a message"},
		func(ctx context.Context, who *omni.APIKey, in *ByID) (*one[omni.Message], error) {
			return oneOf(r.Messages.Get(ctx, who, in.ID.UUID))
		})
	add(r, endpoint{id: "trace-message", method: http.MethodGet, path: "/messages/{id}/trace", tag: tag, scope: read,
		summary: "Trace a message from the webhook to the last receipt"},
		func(ctx context.Context, who *omni.APIKey, in *ByID) (*one[omni.Trace], error) {
			return oneOf(r.Messages.Trace(ctx, who, in.ID.UUID))
		})
	add(r, endpoint{id: "resolve-delivery", method: http.MethodPost, path: "/messages/{id}/resolve-delivery", tag: tag, scope: write,
		summary: "Say what became of a message whose outcome is unknown",
		doc: "For channels that cannot tell one message sent twice from two: where a send may or may not have arrived, the message is " +
			"unknown and, with messaging.unknownPolicy hold, the rest of its reply is kept back. Once somebody has said that it was sent, " +
			"or is to be sent again, the reply goes on (unless the conversation has); if it was not sent, the reply ends. " +
			"409 not_unknown where its outcome is known, delivery_in_progress while other parts of the message are under way."},
		func(ctx context.Context, who *omni.APIKey, in *resolveDelivery) (*one[omni.Message], error) {
			return oneOf(r.Messages.ResolveDelivery(ctx, who, in.ID.UUID, in.Body))
		})
	add(r, endpoint{id: "delete-message", method: http.MethodDelete, path: "/messages/{id}", tag: tag, scope: write,
		summary: "Cancel a scheduled message", status: http.StatusNoContent},
		func(ctx context.Context, who *omni.APIKey, in *ByID) (*none, error) {
			return &none{}, r.Messages.Cancel(ctx, who, in.ID.UUID)
		})
}
