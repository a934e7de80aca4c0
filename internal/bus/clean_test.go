package bus_test

import (
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/bus"
	"github.com/omnihub/omni/internal/omni"
)

func TestCleanMakesPoisonHarmless(t *testing.T) {
	t.Parallel()
	e := inbound(instance(t), "x\x00y")
	e.Event.Content.Text = "\xff" + strings.Repeat("é", bus.MaxTextBytes)
	e.Event.Timestamp = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
	e.Event.Sender.Name = strings.Repeat("\x00", 5000)
	e.Event.Content.Location = &message.Location{Latitude: math.NaN(), Longitude: math.Inf(1)}
	e.Event.Mentions = make([]string, 100_000)
	e.Raw = make([]byte, 10<<20)
	require.NoError(t, bus.Clean(e))
	require.Equal(t, "x\uFFFDy", e.Event.ID)
	require.True(t, utf8.ValidString(e.Event.Content.Text))
	require.LessOrEqual(t, len(e.Event.Content.Text), bus.MaxTextBytes)
	require.Equal(t, e.ReceivedAt, e.Event.Timestamp, "a time that cannot be believed is the time of receipt")
	require.Len(t, e.Raw, bus.MaxRawBytes)
	require.Less(t, len(e.Event.Mentions), 1000)
	require.Zero(t, e.Event.Content.Location.Latitude)
	e.MessageID = omni.MessageID(e.InstanceID, e.ExternalKey())
	payload, err := omni.InboundCloudEvent(e)
	require.NoError(t, err)
	require.NotContains(t, string(payload), `\u0000`)

	again := *e
	require.NoError(t, bus.Clean(&again))
	require.Equal(t, *e, again)
}

func TestCleanRefusesWhatCannotBeCut(t *testing.T) {
	t.Parallel()
	for field, spoil := range map[string]func(*message.Inbound){
		"id":        func(in *message.Inbound) { in.ID = "" },
		"chat.id":   func(in *message.Inbound) { in.Chat.ID = strings.Repeat("x", bus.MaxIDBytes+1) },
		"sender.id": func(in *message.Inbound) { in.Sender.ID = "" },
		"kind":      func(in *message.Inbound) { in.Kind = "party" },
		"targetId":  func(in *message.Inbound) { in.Kind = message.KindEdit },
	} {
		e := inbound(instance(t), "1")
		spoil(&e.Event)
		var refused *bus.FieldError
		require.ErrorAs(t, bus.Clean(e), &refused, field)
		require.Equal(t, field, refused.Field)
	}
}
