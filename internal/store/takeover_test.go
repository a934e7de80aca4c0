package store_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/internal/omni"
)

func (w *world) takeover(e omni.Envelope, until *time.Time) []uuid.UUID {
	w.t.Helper()
	turns, err := w.TakeoverChat(w.t.Context(), e.ChatID(), omni.Takeover{Until: until, Reason: "she asked for a person", By: "desk"})
	require.NoError(w.t, err)
	return turns
}

func TestTakeoverStopsTheDebounce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	answering := w.receive("c1", "ana", "m1", "one")
	v1 := w.join(answering, 0)
	collecting := w.receive("c1", "ana", "m2", "two")
	v2 := w.join(collecting, time.Minute)
	require.ElementsMatch(t, []uuid.UUID{v1.TurnID.UUID, v2.TurnID.UUID}, w.takeover(answering, nil))
	require.Equal(t, "cancelled", w.closeTurn(collecting, v2).State)
	require.Equal(t, "cancelled", w.join(collecting, 0).State)
	require.Equal(t, "cancelled", w.status(collecting.MessageID))
	said := w.data(answering, "chat.takeover")
	require.Len(t, said, 1)
	require.Equal(t, "she asked for a person", said[0]["reason"])
	require.Equal(t, "desk", said[0]["by"])
	require.NotContains(t, said[0], "until")
	require.Equal(t, 1, count(w.story(answering.MessageID), "turn.cancelled"))
}

// Messages that come meanwhile are the person's. Given back by call, the next
// one is answered; those of meanwhile are not.
func TestTakeoverEndsByCall(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.receive("c1", "ana", "m1", "one")
	require.Empty(t, w.takeover(e, nil))
	require.Equal(t, "paused", w.join(e, 0).State)
	require.Equal(t, "paused", w.status(e.MessageID))
	require.NoError(t, w.ResumeChat(t.Context(), e.ChatID(), "desk"))
	require.NoError(t, w.ResumeChat(t.Context(), e.ChatID(), "desk"))
	require.Equal(t, "paused", w.join(e, 0).State, "what is true of it stays true")
	v := w.join(w.receive("c1", "ana", "m2", "two"), 0)
	require.Equal(t, "closed", v.State)
	require.Equal(t, []string{"two"}, w.texts(v))
	said := w.data(e, "chat.resumed")
	require.Len(t, said, 1, "a chat that is not taken over is not given back")
	require.Equal(t, "by call", said[0]["reason"])
	require.Equal(t, "desk", said[0]["by"])
	require.ErrorIs(t, w.ResumeChat(t.Context(), uuid.New(), "desk"), omni.ErrNotFound)
}

// When the time is over the next message is answered, and the log says that
// the chat was given back.
func TestTakeoverEndsByTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.receive("c1", "ana", "m1", "one")
	until := time.Now().Add(time.Hour)
	w.takeover(e, &until)
	require.Equal(t, "paused", w.join(e, 0).State)
	require.True(t, w.chat(e).Paused)
	_, err := w.Pool().Exec(t.Context(), `UPDATE chats SET paused_until = now() - interval '1 second'`)
	require.NoError(t, err)
	require.False(t, w.chat(e).Paused, "nobody has to note it down first")
	require.Nil(t, w.chat(e).PausedUntil)
	next := w.receive("c1", "ana", "m2", "two")
	require.Equal(t, "closed", w.join(next, 0).State)
	require.Equal(t, "closed", w.join(next, 0).State)
	said := w.data(e, "chat.resumed")
	require.Len(t, said, 1)
	require.Equal(t, "the time is over", said[0]["reason"])
}

// Also where nobody writes any more.
func TestTakeoverEndsByTimeInSilence(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	over, still, forGood := w.receive("c1", "a", "m1", "x"), w.receive("c2", "b", "m2", "x"), w.receive("c3", "c", "m3", "x")
	until := time.Now().Add(time.Hour)
	w.takeover(over, &until)
	w.takeover(still, &until)
	w.takeover(forGood, nil)
	_, err := w.Pool().Exec(t.Context(), `UPDATE chats SET paused_until = now() WHERE id = $1`, over.ChatID())
	require.NoError(t, err)
	for _, want := range []int{1, 0} {
		n, err := w.ResumeDueChats(t.Context(), 10)
		require.NoError(t, err)
		require.Equal(t, want, n)
	}
	require.Len(t, w.data(over, "chat.resumed"), 1)
	require.True(t, w.chat(still).Paused)
	require.True(t, w.chat(forGood).Paused)
}

// A takeover, a claim, a join and an interruption at the same time: at most
// one part is under way, and nothing of the chat is in progress afterwards.
func TestTakeoverAgainstEverything(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	claimed := 0
	for i := range 30 {
		chat := fmt.Sprint("c", i)
		first := w.receive(chat, "ana", chat+"m1", "one")
		v1 := w.join(first, 0)
		w.answer(first, v1, "a", "b")
		second := w.receive(chat, "ana", chat+"m2", "two")
		v2 := w.joinBusy(second, 0)
		third := w.receive(chat, "ana", chat+"m3", "three")
		yield, join := w.yieldParams(second, v2, v1.TurnID.UUID), w.joinParams(third, 0)
		var claim omni.PartClaim
		atOnce(t, w.claims(first, v1, workflowOf(first), "me/1/1", &claim),
			func(ctx context.Context) error { _, err := w.YieldTurn(ctx, yield); return err },
			func(ctx context.Context) error { _, err := w.JoinTurn(ctx, join); return err },
			func(ctx context.Context) error {
				_, err := w.TakeoverChat(ctx, first.ChatID(), omni.Takeover{Reason: "by call"})
				return err
			})
		if claim.State == "claimed" {
			claimed++
			w.receipt(first, v1, claim, "sent")
		} else {
			require.Equal(t, "cancelled", claim.State)
		}
		require.Equal(t, "cancelled", w.claim(first, v1, "me/1/1").State)
		for _, e := range []omni.Envelope{first, second, third} {
			require.Contains(t, []string{"cancelled", "paused"}, w.status(e.MessageID))
		}
		var open int
		require.NoError(t, w.Pool().QueryRow(t.Context(), `SELECT count(*) FROM turns WHERE chat_id = $1 AND state IN ('collecting', 'answering')`,
			first.ChatID()).Scan(&open))
		require.Zero(t, open)
	}
	t.Log("claimed", claimed)
}
