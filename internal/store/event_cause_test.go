package store_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
)

// Whoever follows the log sees one trace from the platform's event on, and what
// made an edit one: the edit, not the message.
func TestEventsSayWhatTheyBelongTo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.inbound("c1", "ana", "m1", "one")
	e.Traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	w.record(e)
	w.admit(e)
	w.join(e, 0)
	edit := w.inbound("c1", "ana", "m1-edit", "two")
	edit.Event.Kind, edit.Event.TargetID = message.KindEdit, "m1"
	edit.MessageID = omni.MessageID(w.instance, edit.ExternalKey())
	edit.Traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4737-00f067aa0ba902b7-01"
	w.record(edit)

	listed, err := w.ListEvents(t.Context(), omni.DefaultTenant, omni.EventFilter{CorrelationID: e.MessageID}, omni.Position{}, 100)
	require.NoError(t, err)
	followed, err := w.EventsAfter(t.Context(), omni.DefaultTenant, omni.Position{}, 100)
	require.NoError(t, err)
	seen := map[omni.EventType]bool{}
	for _, ev := range append(listed, followed...) {
		seen[ev.Type] = true
		if ev.Type == omni.EventMessageEdited {
			require.Equal(t, edit.Traceparent, ev.Traceparent)
			require.Equal(t, edit.MessageID, ev.CausationID.UUID)
			continue
		}
		require.Equal(t, e.Traceparent, ev.Traceparent, ev.Type)
	}
	for _, typ := range []omni.EventType{omni.EventMessageReceived, omni.EventTurnStarted, omni.EventAgentRequest, omni.EventMessageEdited} {
		require.True(t, seen[typ], typ)
	}
}

func TestAChatSaysWhenItsLastMessageWas(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.receive("c1", "ana", "m1", "one")
	last := w.receive("c1", "ana", "m2", "two")
	msg, err := w.Message(t.Context(), omni.DefaultTenant, last.MessageID)
	require.NoError(t, err)
	chat, err := w.Chat(t.Context(), omni.DefaultTenant, last.ChatID())
	require.NoError(t, err)
	require.NotNil(t, chat.LastMessageAt)
	require.True(t, msg.CreatedAt.Equal(*chat.LastMessageAt))
	listed, err := w.ListChats(t.Context(), omni.DefaultTenant, omni.ChatFilter{}, omni.Page{Limit: 10})
	require.NoError(t, err)
	require.Len(t, listed, 1)
	require.Equal(t, chat.LastMessageAt, listed[0].LastMessageAt)
}
