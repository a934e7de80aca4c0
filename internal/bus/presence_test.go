package bus

import (
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/internal/omni"
)

func TestPresenceIsThatOfAllHolders(t *testing.T) {
	t.Parallel()
	b := openBus(t)
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
	now := time.Now()
	p := present{Holders: map[string]time.Time{"dead": now.Add(-omni.PresenceFor - time.Second), "alive": now.Add(-time.Second)}}
	p.change("new", true, now)
	require.NotContains(t, p.Holders, "dead")
	p.change("new", false, now)
	require.Contains(t, p.Holders, "alive")
	require.Equal(t, now, p.LeftAt)
}
