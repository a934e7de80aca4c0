package bus_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/bus"
	"github.com/omnihub/omni/internal/omni"
)

func receive[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(10 * time.Second):
		require.FailNow(t, "nothing came")
		panic("unreachable")
	}
}

func TestNotificationsReachThisProcessToo(t *testing.T) {
	t.Parallel()
	b, _ := setup(t)
	id := instance(t)
	ids := make(chan uuid.UUID, 4)
	stopChanged, err := b.OnInstanceChanged(func(id uuid.UUID) { ids <- id })
	require.NoError(t, err)
	stopRestart, err := b.OnRestartRequest(func(id uuid.UUID) { ids <- id })
	require.NoError(t, err)
	require.NoError(t, b.Announce(t.Context(), id))
	require.Equal(t, id, receive(t, ids))
	require.NoError(t, b.RequestRestart(t.Context(), id))
	require.Equal(t, id, receive(t, ids))
	stopChanged()
	stopRestart()

	cancelled := make(chan struct{}, 1)
	stop, err := b.OnCancel(id, func() { cancelled <- struct{}{} })
	require.NoError(t, err)
	defer stop()
	require.NoError(t, b.PublishCancel(t.Context(), id))
	receive(t, cancelled)
}

func TestLiveTopicsAreApart(t *testing.T) {
	t.Parallel()
	b, _ := setup(t)
	one, two := make(chan string, 1), make(chan string, 1)
	id := instance(t).String()
	for topic, to := range map[string]chan string{"chat.*": one, "chat.>": two} {
		stop, err := b.Listen(id, topic, func(data []byte) { to <- string(data) })
		require.NoError(t, err)
		defer stop()
	}
	require.NoError(t, b.Broadcast(t.Context(), id, "chat.>", []byte("for two")))
	require.Equal(t, "for two", receive(t, two))
	require.Empty(t, one)
}

func TestALogThatGrewWakes(t *testing.T) {
	t.Parallel()
	b, _ := setup(t)
	woken := make(chan struct{}, 1)
	stop, err := b.OnLog(func() { woken <- struct{}{} })
	require.NoError(t, err)
	defer stop()
	require.NoError(t, b.AnnounceLog(t.Context()))
	receive(t, woken)
}

func TestTypingIsRemembered(t *testing.T) {
	t.Parallel()
	b, _ := setup(t)
	e := inbound(instance(t), "1")
	e.Event.Kind = message.KindTyping
	require.NoError(t, b.MarkTyping(t.Context(), e))
	marks, err := b.TypingIn(t.Context(), e.ChatID())
	require.NoError(t, err)
	require.Equal(t, []omni.TypingMark{{SenderID: "u1", Seq: e.Seq, At: e.ReceivedAt.UTC()}}, marks)

	// Somebody else in the chat, and the first one again: one notice each, the newest first.
	other := inbound(instance(t), "2")
	other.InstanceID, other.Event.Chat, other.Event.Sender.ID, other.Seq = e.InstanceID, e.Event.Chat, "u2", 8
	require.NoError(t, b.MarkTyping(t.Context(), other))
	e.Seq = 9
	require.NoError(t, b.MarkTyping(t.Context(), e))
	marks, err = b.TypingIn(t.Context(), e.ChatID())
	require.NoError(t, err)
	require.Len(t, marks, 2)
	require.Equal(t, []uint64{9, 8}, []uint64{marks[0].Seq, marks[1].Seq})
	require.Equal(t, []string{"u1", "u2"}, []string{marks[0].SenderID, marks[1].SenderID})
}

func TestNobodyTypes(t *testing.T) {
	t.Parallel()
	b, _ := setup(t)
	marks, err := b.TypingIn(t.Context(), uuid.New())
	require.NoError(t, err)
	require.Empty(t, marks)
	// What another version wrote is no notice, and no error either.
	chat := uuid.New()
	kv, err := b.KV(t.Context(), bus.BucketTyping)
	require.NoError(t, err)
	_, err = kv.Put(t.Context(), chat.String(), []byte("now"))
	require.NoError(t, err)
	marks, err = b.TypingIn(t.Context(), chat)
	require.NoError(t, err)
	require.Empty(t, marks)
}
