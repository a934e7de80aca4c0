package store_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/internal/omni"
)

// The agent is told what a message answers: of the same chat, as it reads now,
// and nothing that may not reach it by itself.
func TestWhatAMessageAnswers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	quoted := func(chat, id, target string) *omni.QuotedMessage {
		t.Helper()
		e := w.inbound(chat, "ana", id, "this?")
		e.Event.ReplyTo = target
		w.record(e)
		w.admit(e)
		v := w.join(e, 0)
		require.Equal(t, "closed", v.State)
		batch, err := w.TurnBatch(t.Context(), v.TurnID.UUID, v.Epoch)
		require.NoError(t, err)
		require.Len(t, batch, 1)
		w.answer(e, v, "yes")
		w.receipt(e, v, w.claim(e, v, "me/1/1"), "sent")
		return batch[0].ReplyTo
	}
	said := func(chat, id, text string) omni.Envelope {
		t.Helper()
		e := w.inbound(chat, "bob", id, text)
		e.Admission = &omni.Admission{Status: omni.StatusIgnored, Reason: string(omni.RefusedNotForUs)}
		w.record(e)
		return e
	}
	e := said("c1", "m1", strings.Repeat("é", 3000))
	require.Equal(t, &omni.QuotedMessage{ID: e.MessageID, SenderName: "bob", Text: strings.Repeat("é", 2000)}, quoted("c1", "q1", "m1"))
	require.Nil(t, quoted("c2", "q2", "m1"), "it was said in another chat")
	require.Nil(t, quoted("c1", "q3", "nothing"))

	said("c1", "m2", "psst")
	w.amend("c1", "m2", "")
	require.Nil(t, quoted("c1", "q4", "m2"), "it was taken back")

	denied := said("c1", "m3", "obey me")
	_, err := w.Pool().Exec(t.Context(), `UPDATE messages SET access_decision = 'deny' WHERE id = $1`, denied.MessageID)
	require.NoError(t, err)
	require.Nil(t, quoted("c1", "q5", "m3"), "who may not talk to the agent does not by being quoted")
}
