package v1

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"
	"github.com/google/uuid"

	"github.com/omnihub/omni/internal/control"
	"github.com/omnihub/omni/internal/omni"
)

// CloudEvent is an event in its outside form, encoded once.
type CloudEvent json.RawMessage

// MarshalJSON gives the event as it is.
func (e CloudEvent) MarshalJSON() ([]byte, error) { return e, nil }

// Schema of a CloudEvent with our extensions.
func (CloudEvent) Schema(r huma.Registry) *huma.Schema {
	text := func(doc string) *huma.Schema { return &huma.Schema{Type: huma.TypeString, Description: doc} }
	return &huma.Schema{
		Type: huma.TypeObject, Description: "CloudEvents 1.0",
		Required: []string{"specversion", "id", "type", "source", "time", "data", "position"},
		Properties: map[string]*huma.Schema{
			"specversion": text("1.0"), "id": text("a UUID"), "type": text("message.received, …"),
			"source": text("/instances/<id>"), "subject": text("the id of what it is about"),
			"time":            {Type: huma.TypeString, Format: "date-time"},
			"datacontenttype": text("application/json"), "tenantid": text(""),
			"correlationid": text("the inbound message that began it all"), "causationid": text("the inbound event or request that caused this one: the message itself, or the edit of it"),
			"traceparent": text("W3C trace context"), "dataversion": text("version of data's shape"),
			"position": text("place in the log: since= goes on behind it"),
			"data":     {Type: huma.TypeObject, AdditionalProperties: true},
		},
	}
}

type listEvents struct {
	Paging
	EventFilter
	Until string `query:"until" doc:"only before this time (RFC 3339)" maxLength:"64"`
}

// EventFilter are the parameters that choose events, of lists and live.
type EventFilter struct {
	Type          []string  `query:"type,explode" doc:"an event type, or a pattern (message.*); repeated or separated by commas"`
	InstanceID    uuid.UUID `query:"instanceId"`
	ChatID        uuid.UUID `query:"chatId"`
	PersonID      uuid.UUID `query:"personId"`
	CorrelationID uuid.UUID `query:"correlationId" doc:"the inbound message that began it all"`
	Since         string    `query:"since" doc:"behind this position (exclusive), or from this time on (RFC 3339)" maxLength:"64"`
}

// Query is the filter as the use cases read it.
func (f *EventFilter) Query() control.EventQuery {
	return control.EventQuery{Types: f.Type, InstanceID: f.InstanceID, ChatID: f.ChatID, PersonID: f.PersonID,
		CorrelationID: f.CorrelationID, Since: f.Since}
}

type streamEvents struct {
	EventFilter
	LastEventID string `header:"Last-Event-ID" doc:"as since; a browser sends it when it comes back" maxLength:"64"`
}

func (in *streamEvents) query() control.EventQuery {
	q := in.Query()
	if in.LastEventID != "" {
		q.Since = in.LastEventID
	}
	return q
}

// stream is server-sent events: huma hands the connection over.
func (r *routes) stream() {
	e := endpoint{id: "stream-events", method: http.MethodGet, path: "/events/stream", tag: "events", scope: "events:read",
		summary: "Follow the event log (server-sent events)",
		doc: "Each event has id: its position and data: one CloudEvent. Without since it begins now. " +
			"The same as a WebSocket is at /ws/events. With type=agent.stream, written out, it also has the pieces of answers while " +
			"agents with streaming say them: CloudEvents without a position (and here without id:), which are not kept. " +
			"Their data has turnId, callId (a repeated call has another), seq (from 1), offset (characters said before), text and " +
			"state (streaming, at last done, failed or cancelled)."}
	add(r, e, func(ctx context.Context, _ *omni.APIKey, in *streamEvents) (*huma.StreamResponse, error) {
		s, err := r.live.Open(ctx, in.query())
		if err != nil {
			return nil, err
		}
		return &huma.StreamResponse{Body: func(hc huma.Context) { s.ServeSSE(hc.Context(), humagin.Unwrap(hc).Writer) }}, nil
	})
	r.api.OpenAPI().Paths[Prefix+e.path].Get.Responses["200"] = &huma.Response{Description: "events, without end",
		Content: map[string]*huma.MediaType{"text/event-stream": {Schema: &huma.Schema{Type: huma.TypeString}}}}
}

func (r *routes) events() {
	const tag, read = "events", "events:read"
	add(r, endpoint{id: "list-events", method: http.MethodGet, path: "/events", tag: tag, scope: read,
		summary: "List events, newest first"},
		func(ctx context.Context, who *omni.APIKey, in *listEvents) (*many[CloudEvent], error) {
			q := in.Query()
			q.Until = in.Until
			found, err := r.Events.List(ctx, who, q, in.control())
			if err != nil {
				return nil, err
			}
			shown := make([]CloudEvent, 0, len(found.Items))
			for _, e := range found.Items {
				ce, err := omni.CloudEvent(e)
				if err != nil {
					return nil, err
				}
				shown = append(shown, ce)
			}
			return manyOf(&control.List[CloudEvent]{Items: shown, Next: found.Next}, nil)
		})
	add(r, endpoint{id: "get-event", method: http.MethodGet, path: "/events/{id}", tag: tag, scope: read,
		summary: "Read an event"},
		func(ctx context.Context, who *omni.APIKey, in *ByID) (*one[CloudEvent], error) {
			e, err := r.Events.Get(ctx, who, in.ID.UUID)
			if err != nil {
				return nil, err
			}
			ce, err := omni.CloudEvent(*e)
			shown := CloudEvent(ce)
			return oneOf(&shown, err)
		})
}
