package auth

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/internal/control"
	"github.com/omnihub/omni/internal/omni"
)

var errWrong = &control.Error{Kind: control.KindUnauthorized}

// guess tries new wrong keys until the address must wait.
func guess(g *Guesses, address string, now time.Time) (tried int) {
	for ; tried < 1000; tried++ {
		key := fmt.Sprint("wrong ", tried, now)
		if g.Wait(address, key, now) > 0 {
			return tried
		}
		g.Note(address, key, errWrong, now)
	}
	return tried
}

func TestGuessing(t *testing.T) {
	t.Parallel()
	g := NewGuesses(func(key string) bool { return key == "omni_remembered" })
	now := time.Now()
	require.Equal(t, guessBudget/costNew, guess(g, "192.0.2.1", now))
	require.Positive(t, g.Wait("192.0.2.1", "one more", now))
	require.Positive(t, g.Wait("192.0.2.1", "made up by the owner", now), "it cannot be told from a guess")
	require.Zero(t, g.Wait("192.0.2.2", "made up by the owner", now), "others are not held up")
	require.Zero(t, g.Wait("192.0.2.1", "", now))
	later := now.Add(time.Second)
	require.Equal(t, guessRefill/costNew, guess(g, "192.0.2.1", later), "slowly, it may try again")

	require.Equal(t, guessBudget/costNew, guess(g, "2001:db8::1", now))
	require.Positive(t, g.Wait("2001:db8::ffff:1", "x", now), "a network of IPv6 is one household")
	require.Zero(t, g.Wait("2001:db8:0:1::1", "x", now))
}

func TestAnOwnerIsNotLockedOutByNeighbours(t *testing.T) {
	t.Parallel()
	g := NewGuesses(func(string) bool { return false })
	now := time.Now()
	g.Note("192.0.2.1", "made up by the owner", nil, now)
	guess(g, "192.0.2.1", now)
	require.Zero(t, g.Wait("192.0.2.1", "made up by the owner", now))
	key, _ := omni.NewAPIKey()
	require.True(t, omni.LooksIssued(key))
	require.Zero(t, g.Wait("192.0.2.1", key, now), "nobody guesses one that the hub gave out")
	looked := 0
	for range 1000 {
		if key, _ = omni.NewAPIKey(); g.Wait("192.0.2.1", key, now) == 0 {
			looked++
		}
	}
	require.Less(t, looked, 250, "but looking for them costs something, too")
	known := NewGuesses(func(string) bool { return true })
	guess(known, "192.0.2.1", now)
	for range 1000 {
		require.Zero(t, known.Wait("192.0.2.1", key, now))
	}
}

func TestAnOldKeyThatIsTriedAgainIsNoGuess(t *testing.T) {
	t.Parallel()
	g := NewGuesses(func(string) bool { return false })
	now := time.Now()
	tried := 0
	for ; g.Wait("192.0.2.1", "old", now) == 0; tried++ {
		g.Note("192.0.2.1", "old", errWrong, now)
	}
	require.Greater(t, tried, 5*guessBudget/costNew)
	// What the hub could not find out is nobody's fault.
	for range 2000 {
		g.Note("192.0.2.2", "x", errors.New("the database is away"), now)
	}
	require.Zero(t, g.Wait("192.0.2.2", "x", now))
}

func TestGuessersAreBounded(t *testing.T) {
	t.Parallel()
	g := NewGuesses(func(string) bool { return false })
	now := time.Now()
	for i := range maxGuessers + 500 {
		g.Note(fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255), "x"+fmt.Sprint(i), errWrong, now)
	}
	require.LessOrEqual(t, len(g.from), maxGuessers)
	require.Positive(t, g.Wait("203.0.113.9", "x", now), "those there is no room for share one budget")
	later := now.Add(idleGuesser + time.Second)
	g.Note("203.0.113.9", "x", errWrong, later)
	require.Less(t, len(g.from), 10, "who has been idle is forgotten")
	require.Zero(t, g.Wait("no address", "x", later))
}
