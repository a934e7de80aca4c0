package chaos

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/stretchr/testify/require"
)

// Of goroutines at rest: what a hub may have more of after a load than before
// it. Connections that are kept for the next call come and go, as do pollers;
// what stays with every message would be hundreds.
const (
	spareGoroutines = 150
	restWithin      = 45 * time.Second
)

// calmLoad lets people write as fast as they can, when nothing is wrong, until
// the hub took enough that a goroutine left by each message would be seen; it
// waits until all are answered, and returns how many they were.
func (g *ground) calmLoad(l *load, chats int) int {
	g.t.Helper()
	before := l.taken()
	for l.taken() < before+calmMessages {
		ctx, cancel := context.WithTimeout(g.t.Context(), calmFor)
		l.run(ctx, chats, calmBetween)
		cancel()
		require.NoError(g.t, g.t.Context().Err())
	}
	g.quiet(settledWithin)
	return l.taken() - before
}

const (
	calmFor      = 3 * time.Second
	calmBetween  = 300 * time.Millisecond
	calmMessages = 3 * spareGoroutines
)

// goroutines is how many the hub has now, as it says itself.
func (g *ground) goroutines() int {
	g.t.Helper()
	status, body := g.api().Get("/metrics")
	require.Equal(g.t, http.StatusOK, status, body)
	for line := range strings.Lines(body) {
		if figure, ok := strings.CutPrefix(line, "go_goroutines "); ok {
			n, err := strconv.Atoi(strings.TrimSpace(figure))
			require.NoError(g.t, err)
			return n
		}
	}
	g.t.Fatal("/metrics does not say how many goroutines there are")
	return 0
}

// atRest waits until the hub has no more goroutines than that, and returns how
// many it has.
func (g *ground) atRest(atMost int) int {
	g.t.Helper()
	deadline := time.Now().Add(restWithin)
	for {
		n := g.goroutines()
		if n <= atMost || time.Now().After(deadline) {
			return n
		}
		pause(g.t.Context(), 250*time.Millisecond)
	}
}
