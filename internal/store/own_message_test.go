package store_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/internal/omni"
)

// own makes an event that the account itself is said to have written.
func (w *world) own(chat, id, text string) omni.Envelope {
	e := w.inbound(chat, "operator", id, text)
	e.Event.IsFromMe = true
	return e
}

func (w *world) recordOwn(e omni.Envelope, takeover time.Duration) omni.OwnMessage {
	w.t.Helper()
	out, err := w.RecordOwn(w.t.Context(), &e, takeover)
	require.NoError(w.t, err)
	return out
}

func (w *world) chat(e omni.Envelope) *omni.Chat {
	w.t.Helper()
	c, err := w.Chat(w.t.Context(), omni.DefaultTenant, e.ChatID())
	require.NoError(w.t, err)
	return c
}

func (w *world) known(id uuid.UUID) (yes bool) {
	w.t.Helper()
	require.NoError(w.t, w.Pool().QueryRow(w.t.Context(), `SELECT EXISTS (SELECT FROM messages WHERE id = $1)`, id).Scan(&yes))
	return yes
}

// data returns what the events of a type say about a chat, oldest first.
func (w *world) data(e omni.Envelope, typ string) (list []map[string]any) {
	w.t.Helper()
	rows, err := w.Pool().Query(w.t.Context(), `SELECT data FROM events WHERE chat_id = $1 AND type = $2 ORDER BY xid, seq`, e.ChatID(), typ)
	require.NoError(w.t, err)
	defer rows.Close()
	for rows.Next() {
		var raw []byte
		require.NoError(w.t, rows.Scan(&raw))
		var data map[string]any
		require.NoError(w.t, json.Unmarshal(raw, &data))
		list = append(list, data)
	}
	require.NoError(w.t, rows.Err())
	return list
}

func TestOperatorsWordsTakeTheChatOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.receive("c1", "ana", "m1", "hello")
	v := w.join(e, 0)
	own := w.own("c1", "phone-1", "I am here")
	got := w.recordOwn(own, time.Hour)
	require.Equal(t, omni.OwnMessageRecorded, got.State)
	require.Equal(t, []uuid.UUID{v.TurnID.UUID}, got.Cancelled)
	require.Equal(t, "sent", w.status(own.MessageID))
	require.Equal(t, "cancelled", w.status(e.MessageID))
	c := w.chat(e)
	require.True(t, c.Paused)
	require.WithinDuration(t, own.ReceivedAt.Add(time.Hour), *c.PausedUntil, time.Millisecond)
	said := w.data(e, "chat.takeover")
	require.Len(t, said, 1)
	require.Equal(t, "own message", said[0]["reason"])
	require.Equal(t, "operator", said[0]["by"])
	require.Equal(t, own.MessageID.String(), said[0]["messageId"])
	require.Equal(t, []any{v.TurnID.UUID.String()}, said[0]["cancelledTurnIds"])
	state, _ := w.answer(e, v, "too late")
	require.Equal(t, "cancelled", state)
	require.Equal(t, "paused", w.join(w.receive("c1", "ana", "m2", "thanks"), 0).State)

	// The same event again, after the chat was given back.
	require.NoError(t, w.ResumeChat(t.Context(), e.ChatID(), "key"))
	require.Equal(t, omni.OwnMessageKnown, w.recordOwn(own, time.Hour).State)
	require.False(t, w.chat(e).Paused)
	require.Len(t, w.data(e, "chat.takeover"), 1)
	require.Equal(t, 1, count(w.story(own.MessageID), "message.sent"))

	// The agent is told of it like of anything that was said.
	next := w.receive("c1", "ana", "m3", "and now?")
	p := w.joinParams(next, 0)
	p.SessionKey = "chat:" + next.ChatID().String()
	v, err := w.JoinTurn(t.Context(), p)
	require.NoError(t, err)
	told, err := w.AgentTurn(t.Context(), v.TurnID.UUID, workflowOf(next), v.Epoch, omni.Memory{Messages: 10})
	require.NoError(t, err)
	var texts []string
	for _, m := range told.History {
		texts = append(texts, m.Text)
	}
	require.Contains(t, texts, "I am here")
}

// Without the setting, from the past, or long after it came in, it is recorded
// and no more.
func TestOwnMessageWithoutTakeover(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.receive("c1", "ana", "m1", "hello")
	v := w.join(e, 0)
	off := w.own("c1", "p1", "one")
	history := w.own("c1", "p2", "two")
	history.Event.Backfill = true
	late := w.own("c1", "p3", "three")
	late.ReceivedAt = time.Now().Add(-2 * time.Hour)
	for takeover, own := range map[time.Duration]omni.Envelope{0: off, time.Minute: history, time.Hour: late} {
		got := w.recordOwn(own, takeover)
		require.Equal(t, omni.OwnMessageRecorded, got.State)
		require.Empty(t, got.Cancelled)
		require.Equal(t, "sent", w.status(own.MessageID))
	}
	require.False(t, w.chat(e).Paused)
	require.Equal(t, v, w.join(e, 0))
	first := w.own("new", "p4", "the first word of a chat is the operator's")
	require.Equal(t, omni.OwnMessageRecorded, w.recordOwn(first, time.Hour).State)
	require.True(t, w.chat(first).Paused)
}

// What we sent comes back: by the platform's id, by our own beside it, or by
// our own in its place. It is nobody's word, also while the send is under way.
func TestEchoIsNotTheOperator(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.receive("c1", "ana", "m1", "hello")
	v := w.join(e, 0)
	w.answer(e, v, "one", "two", "three")
	claim := w.claim(e, v, "me/1/1")
	byKey := w.own("c1", "platform-1", "one")
	byKey.Event.ClientID = claim.MessageID.String()
	byID := w.own("c1", claim.MessageID.String(), "one")
	for _, echo := range []omni.Envelope{byKey, byID} {
		got := w.recordOwn(echo, time.Hour)
		require.Equal(t, omni.OwnMessageOurs, got.State)
		require.False(t, w.known(echo.MessageID))
	}
	w.receipt(e, v, claim, "sent")
	byReceipt := w.own("c1", "x-"+claim.MessageID.String(), "one")
	require.Equal(t, omni.OwnMessageOurs, w.recordOwn(byReceipt, time.Hour).State)
	require.False(t, w.known(byReceipt.MessageID))
	require.False(t, w.chat(e).Paused)
	require.Equal(t, "claimed", w.claim(e, v, "me/1/1").State)

	other := w.own("c1", uuid.NewString(), "an id that looks like one of ours")
	other.ReceivedAt = time.Now().Add(-time.Minute)
	require.Equal(t, omni.OwnMessageRecorded, w.recordOwn(other, time.Hour).State)
}

// While a send of the chat is under way nobody can know: the receipt decides.
func TestOwnMessageWaitsForTheReceipt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, external := range map[string]string{"ours": "", "operator": "another-id"} {
		e := w.receive(name, "ana", name+"-m1", "hello")
		v := w.join(e, 0)
		w.answer(e, v, "one")
		claim := w.claim(e, v, "me/1/1")
		if external == "" {
			external = "x-" + claim.MessageID.String() // as the receipt will say
		}
		own := w.own(name, external, "one")
		require.Equal(t, omni.OwnMessageWait, w.recordOwn(own, time.Hour).State)
		require.False(t, w.known(own.MessageID))
		elsewhere := w.own(name+"-elsewhere", external+"-2", "hi")
		require.Equal(t, omni.OwnMessageRecorded, w.recordOwn(elsewhere, 0).State, "other chats do not wait")
		finished, _ := w.receipt(e, v, claim, "sent")
		require.True(t, finished)
		got := w.recordOwn(own, time.Hour)
		require.Equal(t, name == "ours", got.State == omni.OwnMessageOurs)
		require.Equal(t, name != "ours", w.chat(e).Paused)
	}
}

func TestOwnMessageWaitsNoLongerThanThirtySeconds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.receive("c1", "ana", "m1", "hello")
	v := w.join(e, 0)
	w.answer(e, v, "one", "two")
	claim := w.claim(e, v, "me/1/1")
	own := w.own("c1", "p1", "I take it from here")
	own.ReceivedAt = time.Now().Add(-29 * time.Second)
	require.Equal(t, omni.OwnMessageWait, w.recordOwn(own, time.Hour).State)
	own.ReceivedAt = time.Now().Add(-30 * time.Second)
	require.Equal(t, omni.OwnMessageRecorded, w.recordOwn(own, time.Hour).State)
	require.Equal(t, "sending", w.status(claim.MessageID))
	w.receipt(e, v, claim, "sent")
	require.Equal(t, "sent", w.status(claim.MessageID))
	require.Equal(t, "cancelled", w.claim(e, v, "me/1/1").State)
}

// The receipt of a part was lost and its echo came: that is the receipt.
func TestEchoOfAnUnknownPartIsItsReceipt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.receive("c1", "ana", "m1", "hello")
	v := w.join(e, 0)
	w.answer(e, v, "one", "two")
	claim := w.claim(e, v, "me/1/1")
	_, err := w.Pool().Exec(t.Context(), `UPDATE messages SET status = 'unknown' WHERE id = $1`, claim.MessageID)
	require.NoError(t, err)
	echo := w.own("c1", "p1", "one")
	require.Equal(t, omni.OwnMessageOurs, w.recordOwn(echo, time.Hour).State)
	require.Equal(t, "sent", w.status(claim.MessageID))
	require.Equal(t, 1, count(w.story(e.MessageID), "message.sent"))
	require.Equal(t, omni.OwnMessageOurs, w.recordOwn(w.own("c1", "p1", "one"), time.Hour).State)
	require.Equal(t, omni.OwnMessageRecorded, w.recordOwn(w.own("c1", "p2", "one"), 0).State, "said twice is said by somebody else")
}

func TestOwnMessageDoesNotShortenATakeover(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.receive("c1", "ana", "m1", "hello")
	_, err := w.TakeoverChat(t.Context(), e.ChatID(), omni.Takeover{Reason: "by call", By: "key"})
	require.NoError(t, err)
	w.recordOwn(w.own("c1", "p1", "one"), time.Minute)
	require.Nil(t, w.chat(e).PausedUntil, "until resumed stays until resumed")
	long := time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond)
	_, err = w.TakeoverChat(t.Context(), e.ChatID(), omni.Takeover{Until: &long, Reason: "by call"})
	require.NoError(t, err)
	w.recordOwn(w.own("c1", "p2", "two"), time.Minute)
	require.WithinDuration(t, long, *w.chat(e).PausedUntil, 0)
	w.recordOwn(w.own("c1", "p3", "three"), 2*time.Hour)
	require.Greater(t, *w.chat(e).PausedUntil, long)
	require.True(t, w.chat(e).Paused)
}

// An operator's edit may come before the message that it edits.
func TestEditOfAnOwnMessageBeforeIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	own := w.own("c1", "p1", "helo")
	edit := w.inbound("c1", "operator", "ev1", "hello")
	edit.Event.Kind, edit.Event.TargetID, edit.Event.IsFromMe = "edit", "p1", true
	edit.MessageID = omni.MessageID(w.instance, edit.ExternalKey())
	w.record(edit)
	require.Equal(t, omni.OwnMessageRecorded, w.recordOwn(own, time.Hour).State)
	var direction, text string
	require.NoError(t, w.Pool().QueryRow(t.Context(), `SELECT direction, text FROM messages WHERE id = $1`, own.MessageID).Scan(&direction, &text))
	require.Equal(t, "outbound", direction)
	require.Equal(t, "hello", text)
	require.True(t, w.chat(own).Paused)
}

// An own message and a claim at the same time: the operator has the chat and
// nothing leaves, or a part is under way and the decision waits for it.
func TestOwnMessageAgainstAClaim(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	outcomes := map[string]int{}
	for i := range 40 {
		chat := fmt.Sprint("c", i)
		e := w.receive(chat, "ana", chat+"-m1", "hello")
		v := w.join(e, 0)
		w.answer(e, v, "one")
		own := w.own(chat, chat+"-p1", "me")
		var claim omni.PartClaim
		var got omni.OwnMessage
		atOnce(t, w.claims(e, v, workflowOf(e), "me/1/1", &claim),
			func(ctx context.Context) (err error) { got, err = w.RecordOwn(ctx, &own, time.Hour); return err })
		outcomes[claim.State]++
		if claim.State == "claimed" {
			require.Equal(t, omni.OwnMessageWait, got.State)
			continue
		}
		require.Equal(t, "cancelled", claim.State)
		require.Equal(t, omni.OwnMessageRecorded, got.State)
		require.Equal(t, "cancelled", w.status(omni.PartID(v.TurnID.UUID, 0)))
	}
	t.Log(outcomes)
}
