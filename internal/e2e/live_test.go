package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
)

// event is what the tests read of a CloudEvent.
type event struct {
	ID, Type, Position string
}

// follower reads the event log live and comes back with the last position it
// saw, as a client does.
type follower struct {
	mu        sync.Mutex
	events    []event
	connected int // how often
	end       func()
}

// follow starts to read; connect reads until the connection ends.
func follow(t *testing.T, since string, connect func(ctx context.Context, since string, opened func(), got func(event)) error) *follower {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	f := &follower{}
	done := make(chan struct{})
	f.end = sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(f.end)
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			_ = connect(ctx, since, func() {
				f.mu.Lock()
				f.connected++
				f.mu.Unlock()
			}, func(e event) {
				since = e.Position
				f.mu.Lock()
				f.events = append(f.events, e)
				f.mu.Unlock()
			})
			pause(ctx, 100*time.Millisecond)
		}
	}()
	return f
}

func (f *follower) seen() []event {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]event(nil), f.events...)
}

func (f *follower) connections() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.connected
}

// webSocket reads /ws/events.
func (h *hub) webSocket(query string) func(context.Context, string, func(), func(event)) error {
	return func(ctx context.Context, since string, opened func(), got func(event)) error {
		address := strings.Replace(h.url("/ws/events?"+query+"&since="+url.QueryEscape(since)), "http", "ws", 1)
		conn, _, err := websocket.Dial(ctx, address, &websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer " + h.api().Key}}})
		if err != nil {
			return err
		}
		defer func() { _ = conn.CloseNow() }()
		conn.SetReadLimit(1 << 20)
		opened()
		for {
			_, data, err := conn.Read(ctx)
			if err != nil {
				return err
			}
			var e event
			if err := json.Unmarshal(data, &e); err != nil {
				return err
			}
			got(e)
		}
	}
}

// sse reads /api/v1/events/stream.
func (h *hub) sse(query string) func(context.Context, string, func(), func(event)) error {
	return func(ctx context.Context, since string, opened func(), got func(event)) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.url("/api/v1/events/stream?"+query), nil)
		if err != nil {
			return err
		}
		req.Header.Set("Authorization", "Bearer "+h.api().Key)
		req.Header.Set("Last-Event-ID", since)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer func() { _ = resp.Body.Close() }()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("answered %d", resp.StatusCode)
		}
		opened()
		lines := bufio.NewScanner(resp.Body)
		lines.Buffer(nil, 1<<20)
		id := ""
		for lines.Scan() {
			if rest, ok := strings.CutPrefix(lines.Text(), "id: "); ok {
				id = rest
			}
			if rest, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				var e event
				if err := json.Unmarshal([]byte(rest), &e); err != nil {
					return err
				}
				if e.Position != id {
					return fmt.Errorf("id %q of an event at %q", id, e.Position)
				}
				got(e)
			}
		}
		return lines.Err()
	}
}

// log reads GET /events to its end, oldest first.
func (h *hub) eventLog(query string) []event {
	h.t.Helper()
	var out []event
	cursor := ""
	for {
		status, raw, err := h.try(http.MethodGet, "/api/v1/events?limit=100&"+query+"&cursor="+url.QueryEscape(cursor), nil)
		require.NoError(h.t, err)
		require.Equal(h.t, http.StatusOK, status, string(raw))
		var page struct {
			Data []event
			Meta struct{ NextCursor string }
		}
		require.NoError(h.t, json.Unmarshal(raw, &page))
		for _, e := range page.Data {
			out = append([]event{e}, out...)
		}
		if cursor = page.Meta.NextCursor; cursor == "" {
			return out
		}
	}
}

// Two clients follow the log, one over a WebSocket and one over server-sent
// events, while messages come in and the hub is killed: both have seen every
// event once and in order, exactly as the log has them.
func TestLiveEventsAcrossAKill(t *testing.T) {
	const before, after = 30, 30
	h := newHub(t)
	l := h.newLine(nil)
	query := "type=message.*&type=agent.response&instanceId=" + l.id
	// From the beginning: a client that is cut off before its first event knows
	// no position to come back with.
	clients := map[string]*follower{"WebSocket": follow(t, "0", h.webSocket(query)), "SSE": follow(t, "0", h.sse(query))}
	require.Eventually(t, func() bool {
		return clients["WebSocket"].connections() == 1 && clients["SSE"].connections() == 1
	}, 10*time.Second, 20*time.Millisecond)

	var ids []string
	say := func(from, n int) {
		for i := from; i < from+n; i++ {
			ids = append(ids, l.say(fmt.Sprint("m", i), fmt.Sprint("c", i%7), fmt.Sprint("text ", i)))
		}
	}
	say(0, before)
	h.kill() // most of it is not answered yet
	h.start()
	say(before, after)
	for id, status := range l.settled(60*time.Second, ids...) {
		require.Equal(t, "answered", status, id)
	}

	want := h.eventLog(query)
	counts := map[string]int{}
	for _, e := range want {
		counts[e.Type]++
	}
	require.Equal(t, before+after, counts["message.received"])
	require.GreaterOrEqual(t, counts["message.sent"], 7)
	for name, f := range clients {
		require.Eventually(t, func() bool { return len(f.seen()) >= len(want) }, 20*time.Second, 50*time.Millisecond, name)
		require.Equal(t, want, f.seen(), "%s: no gap, no duplicate, the order of the log", name)
		require.GreaterOrEqual(t, f.connections(), 2, name)
	}

	// From any position on, and over either way, it is the same log.
	half := want[len(want)/2]
	late := follow(t, half.Position, h.webSocket(query))
	rest := want[len(want)/2+1:]
	require.Eventually(t, func() bool { return len(late.seen()) >= len(rest) }, 10*time.Second, 20*time.Millisecond)
	require.Equal(t, rest, late.seen())
	require.Equal(t, rest, h.eventLog(query+"&since="+url.QueryEscape(half.Position)))
}
