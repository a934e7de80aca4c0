package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/internal/omni"
)

// What the settings decide alone is stored and said with the message.
func TestRecordStoresTheAdmission(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ignored := w.inbound("c1", "ana", "m1", "hello")
	ignored.Admission = &omni.Admission{Status: omni.StatusIgnored, Reason: string(omni.RefusedNoAgent),
		Access: &omni.AccessDecision{Mode: "disabled", Decision: "allow", Reason: "access control is disabled"}}
	asked := w.inbound("c2", "eva", "m2", "hello")
	asked.Admission = &omni.Admission{Begins: true, Status: omni.StatusReceived}
	w.record(ignored, asked)
	w.record(ignored, asked) // a second delivery says nothing

	m, err := w.InboundMessage(t.Context(), ignored.MessageID)
	require.NoError(t, err)
	require.Equal(t, omni.StatusIgnored, m.Status)
	require.Equal(t, "allow", m.Access.Decision)
	require.Equal(t, []string{"identity.created", "message.received", "identity.resolved", "access.checked"}, w.story(ignored.MessageID))

	m, err = w.InboundMessage(t.Context(), asked.MessageID)
	require.NoError(t, err)
	require.Equal(t, omni.StatusReceived, m.Status)
	require.True(t, m.PersonID.Valid)
	require.Nil(t, m.Access, "access.Check decides")
	require.Equal(t, []string{"identity.created", "message.received", "identity.resolved"}, w.story(asked.MessageID))
}

func TestStrandedMessagesAreThoseNobodyBegan(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	stranded := w.inbound("c1", "ana", "m1", "hello")
	w.record(stranded)
	joined := w.receive("c2", "eva", "m2", "hello")
	_, err := w.JoinTurn(t.Context(), w.joinParams(joined, 0))
	require.NoError(t, err)
	checked := w.receive("c4", "dan", "m4", "hello") // allowed, and then its workflow was lost
	_, err = w.Pool().Exec(t.Context(), `UPDATE messages SET status = 'processing' WHERE id = $1`, checked.MessageID)
	require.NoError(t, err)
	over := w.inbound("c3", "bob", "m3", "hello")
	over.Admission = &omni.Admission{Status: omni.StatusIgnored, Reason: "x"}
	w.record(over)

	list, err := w.StrandedMessages(t.Context(), time.Hour, 10)
	require.NoError(t, err)
	require.Empty(t, list, "they are still young")
	list, err = w.StrandedMessages(t.Context(), 0, 10)
	require.NoError(t, err)
	require.Len(t, list, 2)
	require.Equal(t, checked.MessageID, list[1].ID)
	require.Equal(t, stranded.MessageID, list[0].ID)
	require.Equal(t, stranded.Seq, list[0].Seq)
	require.Equal(t, stranded.ChatID(), list[0].ChatID)
	require.Equal(t, stranded.Event.ID, list[0].ExternalID)
}
