package omni_test

import (
	"encoding/json"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
)

func TestCloudEventIsOneByTheSpecification(t *testing.T) {
	t.Parallel()
	e := omni.Event{
		ID: uuid.New(), TenantID: "default", Type: omni.EventMessageReceived, Time: time.Date(2026, 1, 2, 3, 4, 5, 6000, time.FixedZone("x", 3600)),
		Subject: "subject", InstanceID: uuid.New(), Channel: "custom", CorrelationID: uuid.NullUUID{UUID: uuid.New(), Valid: true},
		Traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", DataVersion: 1, Data: json.RawMessage(`{"text":"hi"}`),
		Position: omni.Position{Xid: 10, Seq: 11},
	}
	b, err := omni.CloudEvent(e)
	require.NoError(t, err)
	var got cloudevents.Event
	require.NoError(t, json.Unmarshal(b, &got))
	require.NoError(t, got.Validate())
	require.Equal(t, "1.0", got.SpecVersion())
	require.Equal(t, e.ID.String(), got.ID())
	require.Equal(t, "message.received", got.Type())
	require.Equal(t, "/instances/"+e.InstanceID.String(), got.Source())
	require.True(t, e.Time.Equal(got.Time()))
	require.JSONEq(t, `{"text":"hi"}`, string(got.Data()))
	require.Equal(t, map[string]any{"tenantid": "default", "correlationid": e.CorrelationID.UUID.String(),
		"causationid": e.CorrelationID.UUID.String(), "traceparent": e.Traceparent, "position": "a-b", "dataversion": "1"}, got.Extensions())

	e.CausationID = uuid.NullUUID{UUID: uuid.New(), Valid: true} // it has a cause of its own
	b, err = omni.CloudEvent(e)
	require.NoError(t, err)
	require.Contains(t, string(b), `"causationid":"`+e.CausationID.UUID.String())

	e.CausationID, e.ID = uuid.NullUUID{}, e.CorrelationID.UUID // it is what began it all
	b, err = omni.CloudEvent(e)
	require.NoError(t, err)
	require.NotContains(t, string(b), "causationid")
}

func TestAnInboundEventTravelsAsACloudEvent(t *testing.T) {
	t.Parallel()
	instance := uuid.New()
	e := &omni.Envelope{TenantID: "default", InstanceID: instance, Channel: "custom", ReceivedAt: time.Now().UTC(), Raw: []byte("raw"), Traceparent: "tp",
		Event: message.Inbound{ID: "1", Kind: message.KindMessage, Timestamp: time.Now().UTC(), Chat: message.Chat{ID: "c"}}}
	e.MessageID = omni.MessageID(instance, e.ExternalKey())
	b, err := omni.InboundCloudEvent(e)
	require.NoError(t, err)
	got, err := omni.ParseInbound(b)
	require.NoError(t, err)
	require.Equal(t, e, got)
}
