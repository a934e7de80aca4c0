package bus_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/bus"
	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/testkit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func setup(t *testing.T) (*bus.Bus, *nats.Conn) {
	t.Helper()
	conn := testkit.NATS(t)
	b, err := bus.Open(t.Context(), conn, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	return b, conn
}

func inbound(instance uuid.UUID, id string) *omni.Envelope {
	e := &omni.Envelope{TenantID: omni.DefaultTenant, InstanceID: instance, Channel: "custom", ReceivedAt: time.Now().UTC(),
		Traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", Raw: []byte(`{"x":1}`),
		Event: message.Inbound{ID: id, Kind: message.KindMessage, Timestamp: time.Now().UTC(), Chat: message.Chat{ID: "c1", Type: message.ChatDM},
			Sender: message.Sender{ID: "u1", Name: "Ana"}, Content: message.Content{Type: message.TypeText, Text: "hi"}}}
	e.MessageID = omni.MessageID(instance, e.ExternalKey())
	return e
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
