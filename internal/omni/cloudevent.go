package omni

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"
)

// cloudEvent is CloudEvents 1.0 in its JSON format, with our extensions.
type cloudEvent struct {
	SpecVersion     string          `json:"specversion"`
	ID              string          `json:"id"`
	Type            EventType       `json:"type"`
	Source          string          `json:"source"`
	Subject         string          `json:"subject,omitempty"`
	Time            string          `json:"time"`
	DataContentType string          `json:"datacontenttype"`
	TenantID        string          `json:"tenantid"`
	CorrelationID   string          `json:"correlationid,omitempty"`
	CausationID     string          `json:"causationid,omitempty"`
	Traceparent     string          `json:"traceparent,omitempty"`
	Position        string          `json:"position,omitempty"`
	DataVersion     string          `json:"dataversion"`
	Data            json.RawMessage `json:"data"`
}

const (
	specVersion     = "1.0"
	dataContentType = "application/json"
)

// CloudEvent is the event's outside form: CloudEvents 1.0 JSON with the
// extensions tenantid, correlationid, causationid, traceparent, position and
// dataversion (strings, as the specification wants attributes). What caused an
// event is what its correlation names, unless it says otherwise: an edit, say.
func CloudEvent(e Event) ([]byte, error) {
	ce := cloudEvent{
		SpecVersion: specVersion, ID: e.ID.String(), Type: e.Type, Source: source(e.InstanceID), Subject: e.Subject,
		Time: eventTime(e.Time), DataContentType: dataContentType, TenantID: e.TenantID, Traceparent: e.Traceparent,
		DataVersion: strconv.Itoa(max(e.DataVersion, 1)), Data: e.Data,
	}
	if e.CorrelationID.Valid {
		ce.CorrelationID = e.CorrelationID.UUID.String()
		if e.CorrelationID.UUID != e.ID {
			ce.CausationID = ce.CorrelationID
		}
	}
	if e.CausationID.Valid {
		ce.CausationID = e.CausationID.UUID.String()
	}
	if !e.Position.IsZero() {
		ce.Position = e.Position.String()
	}
	if len(ce.Data) == 0 {
		ce.Data = json.RawMessage(`{}`)
	}
	b, err := json.Marshal(ce)
	if err != nil {
		return nil, fmt.Errorf("encoding event %s: %w", e.ID, err)
	}
	return b, nil
}

// InboundCloudEvent is the form an envelope takes on stream CHANNEL: a
// CloudEvent of type channel.inbound whose id is the message's. It has no
// position: that is given when the event is recorded.
func InboundCloudEvent(e *Envelope) ([]byte, error) {
	data, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encoding envelope %s: %w", e.MessageID, err)
	}
	return CloudEvent(Event{
		ID: e.MessageID, TenantID: e.TenantID, Type: EventChannelInbound, Time: e.ReceivedAt, InstanceID: e.InstanceID,
		Subject: e.MessageID.String(), CorrelationID: uuid.NullUUID{UUID: e.MessageID, Valid: true},
		Traceparent: e.Traceparent, Data: data,
	})
}

// ParseInbound reads what InboundCloudEvent wrote. Seq is not part of it.
func ParseInbound(b []byte) (*Envelope, error) {
	var ce cloudEvent
	if err := json.Unmarshal(b, &ce); err != nil {
		return nil, fmt.Errorf("reading an inbound event: %w", err)
	}
	if ce.SpecVersion != specVersion || ce.Type != EventChannelInbound {
		return nil, fmt.Errorf("reading an inbound event: specversion %q type %q is not CloudEvents %s %s",
			ce.SpecVersion, ce.Type, specVersion, EventChannelInbound)
	}
	var e Envelope
	if err := json.Unmarshal(ce.Data, &e); err != nil {
		return nil, fmt.Errorf("reading the data of an inbound event: %w", err)
	}
	if e.InstanceID == uuid.Nil || e.MessageID == uuid.Nil || e.TenantID == "" || e.Channel == "" {
		return nil, errors.New("reading the data of an inbound event: messageId, tenantId, instanceId and channel are required")
	}
	e.Traceparent = ce.Traceparent
	return &e, nil
}

func source(instanceID uuid.UUID) string { return "/instances/" + instanceID.String() }

func eventTime(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
