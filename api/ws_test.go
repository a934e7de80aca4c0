package api_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/api"
	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/store"
)

// event is a CloudEvent as a client reads it.
type event struct {
	ID            string          `json:"id"`
	Type          string          `json:"type"`
	Source        string          `json:"source"`
	CorrelationID string          `json:"correlationid"`
	Position      string          `json:"position"`
	Data          json.RawMessage `json:"data"`
}

// live is a hub that listens, with the signal of its own store.
func live(t *testing.T) *hub {
	t.Helper()
	var signal func()
	h := newHub(t, func(d *api.Deps) {
		d.Signal = func(fn func()) (func(), error) { signal = fn; return func() {}, nil }
	})
	require.NoError(t, h.svc.Start(t.Context()))
	h.written = signal
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		require.NoError(t, h.svc.Stop(ctx))
	})
	return h
}

func (h *hub) dial(ctx context.Context, query string, key ...string) *websocket.Conn {
	h.t.Helper()
	if key == nil {
		key = []string{adminKey}
	}
	conn, resp, err := websocket.Dial(ctx, "ws://"+h.svc.Addr()+"/ws/events?"+query, &websocket.DialOptions{
		HTTPHeader: http.Header{"X-Api-Key": key}})
	require.NoError(h.t, err)
	if resp.Body != nil {
		_ = resp.Body.Close()
	}
	conn.SetReadLimit(1 << 20)
	h.t.Cleanup(func() { _ = conn.CloseNow() })
	return conn
}

func readEvent(t *testing.T, ctx context.Context, conn *websocket.Conn) event {
	t.Helper()
	_, b, err := conn.Read(ctx)
	require.NoError(t, err)
	var e event
	require.NoError(t, json.Unmarshal(b, &e))
	return e
}

// write appends n events, each in a transaction of its own.
func (h *hub) write(n int, instance uuid.UUID, typ omni.EventType, chat uuid.UUID) {
	for i := range n {
		err := h.store.AppendEvent(context.Background(), store.NewEvent{TenantID: omni.DefaultTenant, Type: typ,
			InstanceID: instance, Channel: "custom", ChatID: uuid.NullUUID{UUID: chat, Valid: chat != uuid.Nil},
			Data: map[string]any{"n": i}})
		if err != nil {
			h.t.Errorf("writing an event: %v", err)
			return
		}
		if h.written != nil {
			h.written()
		}
	}
}

func TestLiveBeginsNow(t *testing.T) {
	t.Parallel()
	h := live(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	in := uuid.New()
	h.write(3, in, omni.EventMessageSent, uuid.Nil)
	// Older transactions anywhere in the cluster hold events back for a while.
	require.Eventually(t, func() bool {
		seen, err := h.store.EventsAfter(ctx, omni.DefaultTenant, omni.Position{}, 10)
		return err == nil && len(seen) == 3
	}, 10*time.Second, 5*time.Millisecond)
	conn := h.dial(ctx, "")
	h.write(1, in, omni.EventMessageReceived, uuid.Nil)
	e := readEvent(t, ctx, conn)
	require.Equal(t, "message.received", e.Type, "nothing from before")
	require.Equal(t, "/instances/"+in.String(), e.Source)
	require.NotEmpty(t, e.Position)
}

func TestLiveFilters(t *testing.T) {
	t.Parallel()
	h := live(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	a, b, chat := uuid.New(), uuid.New(), uuid.New()
	conn := h.dial(ctx, "type=message.*,turn.started&instanceId="+a.String()+"&chatId="+chat.String())
	h.write(1, a, omni.EventAgentRequest, chat)     // type
	h.write(1, b, omni.EventMessageReceived, chat)  // instance
	h.write(1, a, omni.EventMessageReceived, b)     // chat
	h.write(1, a, omni.EventTurnStarted, chat)      // passes
	h.write(1, a, omni.EventMessageDelivered, chat) // passes
	require.Equal(t, "turn.started", readEvent(t, ctx, conn).Type)
	require.Equal(t, "message.delivered", readEvent(t, ctx, conn).Type)
}

// Readers that come and go, some slow, some from the beginning, see every
// event once and in the log's order while many write at the same time.
func TestLiveResumesWithoutGapOrDuplicate(t *testing.T) {
	t.Parallel()
	h := live(t)
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	const writers, each = 6, 150
	var writing sync.WaitGroup
	for range writers {
		writing.Go(func() { h.write(each, uuid.New(), omni.EventMessageReceived, uuid.Nil) })
	}
	const readers = 3
	got := make([][]event, readers)
	var reading sync.WaitGroup
	for r := range readers {
		reading.Go(func() {
			since := "0"
			for len(got[r]) < writers*each && ctx.Err() == nil {
				// Each connection takes a piece of another size, then breaks.
				got[r] = append(got[r], h.take(ctx, since, min(40+37*r, writers*each-len(got[r])))...)
				if n := len(got[r]); n > 0 {
					since = got[r][n-1].Position
				}
			}
		})
	}
	writing.Wait()
	reading.Wait()
	want, err := h.store.EventsAfter(ctx, omni.DefaultTenant, omni.Position{}, writers*each+1)
	require.NoError(t, err)
	require.Len(t, want, writers*each)
	for r := range readers {
		require.Len(t, got[r], writers*each, "reader %d", r)
		for i := range want {
			require.Equal(t, want[i].ID.String(), got[r][i].ID, "reader %d, event %d", r, i)
		}
	}
}

// take reads at most n events behind a position, then breaks the connection.
func (h *hub) take(ctx context.Context, since string, n int) (out []event) {
	conn, _, err := websocket.Dial(ctx, "ws://"+h.svc.Addr()+"/ws/events?since="+since, &websocket.DialOptions{
		HTTPHeader: http.Header{"Authorization": {"Bearer " + adminKey}}})
	if err != nil {
		h.t.Errorf("dialling: %v", err)
		return nil
	}
	defer func() { _ = conn.CloseNow() }()
	short, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	for len(out) < n {
		_, b, err := conn.Read(short)
		if err != nil {
			return out
		}
		var e event
		if err := json.Unmarshal(b, &e); err != nil {
			h.t.Errorf("decoding: %v", err)
			return out
		}
		out = append(out, e)
	}
	return out
}

func TestLiveKeyAsSubprotocol(t *testing.T) {
	t.Parallel()
	h := live(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, "ws://"+h.svc.Addr()+"/ws/events", &websocket.DialOptions{
		Subprotocols: []string{"omni.events", "omni.key." + base64.RawURLEncoding.EncodeToString([]byte(adminKey))}})
	require.NoError(t, err)
	require.Equal(t, "omni.events", conn.Subprotocol())
	require.NoError(t, conn.CloseNow())
	_, resp, err := websocket.Dial(ctx, "ws://"+h.svc.Addr()+"/ws/events", nil)
	require.Error(t, err)
	require.Equal(t, http.StatusUnauthorized, resp.StatusCode)
	for query, status := range map[string]int{"since=nonsense": 422, "type=!": 422, "chatId=7": 422} {
		require.Equal(t, status, h.admin(http.MethodGet, "/ws/events?"+query, nil).status, query)
		require.Equal(t, status, h.admin(http.MethodGet, "/api/v1/events/stream?"+query, nil).status, query)
	}
}

func TestLiveEndsWithAWord(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	require.NoError(t, h.svc.Start(t.Context()))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	conn := h.dial(ctx, "")
	stopped := make(chan error, 1)
	go func() { stopped <- h.svc.Stop(ctx) }()
	_, _, err := conn.Read(ctx)
	require.Equal(t, websocket.StatusGoingAway, websocket.CloseStatus(err), "%v", err)
	require.NoError(t, <-stopped)
}

// sse reads server-sent events.
type sse struct {
	lines *bufio.Scanner
	close func()
}

func (h *hub) sse(ctx context.Context, query string, header ...string) *sse {
	h.t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+h.svc.Addr()+"/api/v1/events/stream?"+query, nil)
	require.NoError(h.t, err)
	req.Header.Set("X-Api-Key", adminKey)
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(h.t, err)
	require.Equal(h.t, http.StatusOK, resp.StatusCode)
	require.Equal(h.t, "text/event-stream", resp.Header.Get("Content-Type"))
	h.t.Cleanup(func() { _ = resp.Body.Close() })
	return &sse{lines: bufio.NewScanner(resp.Body), close: func() { _ = resp.Body.Close() }}
}

func (s *sse) next(t *testing.T) (id string, e event) {
	t.Helper()
	for s.lines.Scan() {
		line := s.lines.Text()
		if v, ok := strings.CutPrefix(line, "id: "); ok {
			id = v
		}
		if v, ok := strings.CutPrefix(line, "data: "); ok {
			require.NoError(t, json.Unmarshal([]byte(v), &e))
			return id, e
		}
	}
	t.Fatal("the stream ended")
	return "", e
}

func TestSSE(t *testing.T) {
	t.Parallel()
	h := live(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	s := h.sse(ctx, "type=message.*") // the head comes before any event
	h.write(3, uuid.New(), omni.EventMessageReceived, uuid.Nil)
	id, first := s.next(t)
	require.Equal(t, first.Position, id)
	_, second := s.next(t)
	s.close()
	_, again := h.sse(ctx, "", "Last-Event-ID", id).next(t)
	require.Equal(t, second.ID, again.ID, "since is exclusive")
	_, again = h.sse(ctx, "since="+id).next(t)
	require.Equal(t, second.ID, again.ID)
}

func TestEventsListAndRead(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	in, chat := uuid.New(), uuid.New()
	h.write(3, in, omni.EventMessageReceived, chat)
	h.write(2, in, omni.EventAgentRequest, uuid.Nil)
	list := func(query string) (out []event) {
		a := h.admin(http.MethodGet, "/api/v1/events?"+query, nil)
		require.Equal(t, http.StatusOK, a.status, "%s", a.body)
		a.data(t, &out)
		return out
	}
	all := list("")
	require.Len(t, all, 5)
	require.Equal(t, "agent.request", all[0].Type, "newest first")
	require.Len(t, list("type=message.*"), 3)
	require.Len(t, list("type=message.received&type=agent.request"), 5)
	require.Len(t, list("chatId="+chat.String()), 3)
	require.Len(t, list("since="+all[2].Position), 2, "exclusive")
	require.Len(t, list("since="+time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)), 5)
	require.Empty(t, list("until="+time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)))
	a := h.admin(http.MethodGet, "/api/v1/events?limit=2", nil)
	var page struct{ Meta struct{ NextCursor string } }
	require.NoError(t, json.Unmarshal(a.body, &page))
	require.Equal(t, all[2].ID, list(fmt.Sprintf("limit=2&cursor=%s", page.Meta.NextCursor))[0].ID)
	var one event
	h.admin(http.MethodGet, "/api/v1/events/"+all[0].ID, nil).data(t, &one)
	require.Equal(t, all[0], one)
	require.Equal(t, 422, h.admin(http.MethodGet, "/api/v1/events?since=x", nil).status)
}
