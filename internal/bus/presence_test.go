package bus_test

import (
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/internal/bus"
	"github.com/omnihub/omni/internal/omni"
)

func TestPresenceIsThatOfAllHolders(t *testing.T) {
	t.Parallel()
	b, _ := setup(t)
	account := uuid.New()
	is := func(online bool) omni.PresenceMark {
		t.Helper()
		p, err := b.Presence(t.Context(), account)
		require.NoError(t, err)
		require.Equal(t, online, p.Online)
		return p
	}
	mark := func(holder string, online, left bool) {
		t.Helper()
		still, err := b.MarkPresence(t.Context(), account, holder, online)
		require.NoError(t, err)
		require.Equal(t, left, still)
	}
	require.Zero(t, is(false).At)
	mark("a", true, true)
	mark("b", true, true)
	is(true)
	mark("a", false, true)
	is(true)
	mark("b", false, false)
	require.WithinDuration(t, time.Now(), is(false).At, time.Minute)

	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			_, err := b.MarkPresence(t.Context(), account, string(rune('a'+i)), true)
			require.NoError(t, err)
		})
	}
	wg.Wait()
	for i := range 4 {
		mark(string(rune('a'+i)), false, i < 3)
	}
}

func TestWhatADeadHolderSaidIsForgotten(t *testing.T) {
	t.Parallel()
	b, _ := setup(t)
	account := uuid.New()
	kv, err := b.KV(t.Context(), bus.BucketPresence)
	require.NoError(t, err)
	long := time.Now().Add(-omni.PresenceFor - time.Second).UTC().Format(time.RFC3339Nano)
	_, err = kv.Put(t.Context(), account.String(), []byte(`{"holders":{"dead":"`+long+`"}}`))
	require.NoError(t, err)
	p, err := b.Presence(t.Context(), account)
	require.NoError(t, err)
	require.False(t, p.Online)
	require.WithinDuration(t, time.Now(), p.At, 2*omni.PresenceFor)
	still, err := b.MarkPresence(t.Context(), account, "new", true)
	require.NoError(t, err)
	require.True(t, still)
	still, err = b.MarkPresence(t.Context(), account, "new", false)
	require.NoError(t, err)
	require.False(t, still, "the dead one does not count")
}
