package chaos

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// witness follows the event log from its beginning over a WebSocket, through
// everything, and comes back with the last position it saw, as a client does.
type witness struct {
	ground *ground

	mu    sync.Mutex
	told  []string // ids of events
	times int      // that it came
}

func (g *ground) newWitness() *witness {
	w := &witness{ground: g}
	ctx, cancel := context.WithCancel(context.WithoutCancel(g.t.Context()))
	done := make(chan struct{})
	g.t.Cleanup(func() { cancel(); <-done })
	go func() {
		defer close(done)
		for since := "0"; ctx.Err() == nil; pause(ctx, 100*time.Millisecond) {
			since = w.follow(ctx, since)
		}
	}()
	return w
}

// follow reads until the connection ends, and returns the last position.
func (w *witness) follow(ctx context.Context, since string) string {
	address := strings.Replace(w.ground.url("/ws/events?since="+url.QueryEscape(since)), "http", "ws", 1)
	conn, _, err := websocket.Dial(ctx, address, &websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer " + apiKey}}})
	if err != nil {
		return since
	}
	defer func() { _ = conn.CloseNow() }()
	conn.SetReadLimit(1 << 20)
	w.mu.Lock()
	w.times++
	w.mu.Unlock()
	for {
		_, data, err := conn.Read(ctx)
		if err != nil {
			return since
		}
		var e struct{ ID, Position string }
		if json.Unmarshal(data, &e) != nil {
			e.ID = string(data) // which no event is called
		}
		since = e.Position
		w.mu.Lock()
		w.told = append(w.told, e.ID)
		w.mu.Unlock()
	}
}

// hears waits until the witness was told as many events as the log has, and
// returns what it was told and what the log has, in order.
func (w *witness) hears(within time.Duration) (told, logged []string) {
	g := w.ground
	ctx, cancel := context.WithTimeout(g.t.Context(), within)
	defer cancel()
	rows, err := g.db.Query(ctx, "SELECT id::text FROM events ORDER BY xid, seq")
	require.NoError(g.t, err)
	logged, err = pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(g.t, err)
	for {
		w.mu.Lock()
		told = slices.Clone(w.told)
		w.mu.Unlock()
		if len(told) >= len(logged) || ctx.Err() != nil {
			return told, logged
		}
		pause(ctx, 100*time.Millisecond)
	}
}
