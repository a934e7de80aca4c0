package ws

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/coder/websocket"
	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"github.com/omnihub/omni/api/auth"
	"github.com/omnihub/omni/api/problem"
	"github.com/omnihub/omni/internal/control"
)

// Handler serves /ws/events: each message is one CloudEvent as text, with
// type=agent.stream also those of answers that are being said. The
// client sends nothing; it comes back with since=<the last position it got>.
// What is wrong with the request is answered before the upgrade.
func (h *Hub) Handler(log *slog.Logger) gin.HandlerFunc {
	return func(c *gin.Context) {
		ctx := c.Request.Context()
		q, err := queryOf(c.Request)
		if err == nil {
			var s *Stream
			if s, err = h.Open(ctx, q); err == nil {
				s.serveWebSocket(c.Writer, c.Request)
				return
			}
		}
		problem.Write(c.Writer, c.Request, problem.From(ctx, log, err))
	}
}

func (s *Stream) serveWebSocket(w http.ResponseWriter, r *http.Request) {
	defer s.Close()
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		Subprotocols: []string{auth.Protocol},
		// The key is asked for by every request and no cookie is ever looked
		// at, so a foreign page cannot ride on anybody's login.
		InsecureSkipVerify: true,
	})
	if err != nil {
		return // answered by Accept
	}
	defer func() { _ = conn.CloseNow() }()
	// Answers pings and notices that the client left; a message is an error.
	ctx := conn.CloseRead(r.Context())
	for {
		items, err := s.next(ctx)
		if !s.allowed(ctx) {
			_ = conn.Close(websocket.StatusPolicyViolation, "the API key is not valid any more")
			return
		}
		switch {
		case errors.Is(err, errIdle):
			err = bounded(ctx, conn.Ping)
		case errors.Is(err, ErrClosed):
			_ = conn.Close(websocket.StatusGoingAway, reason(err))
			return
		case err != nil && ctx.Err() == nil:
			_ = conn.Close(websocket.StatusTryAgainLater, reason(err))
			return
		case err == nil:
			err = write(ctx, conn, items)
		}
		if err != nil {
			if ctx.Err() == nil {
				_ = conn.Close(websocket.StatusPolicyViolation, "too slow; come back with the last position")
			}
			return
		}
	}
}

func write(ctx context.Context, conn *websocket.Conn, items []item) error {
	for i := range items {
		if err := bounded(ctx, func(ctx context.Context) error {
			return conn.Write(ctx, websocket.MessageText, items[i].json)
		}); err != nil {
			return err
		}
	}
	return nil
}

func bounded(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	return do(ctx)
}

// queryOf reads the parameters that huma reads for the SSE operation.
func queryOf(r *http.Request) (control.EventQuery, error) {
	v := r.URL.Query()
	q := control.EventQuery{Types: v["type"], Since: v.Get("since")}
	for name, into := range map[string]*uuid.UUID{"instanceId": &q.InstanceID, "chatId": &q.ChatID, "personId": &q.PersonID,
		"correlationId": &q.CorrelationID} {
		text := v.Get(name)
		if text == "" {
			continue
		}
		id, err := uuid.Parse(text)
		if err != nil {
			return q, &control.Error{Kind: control.KindInvalid, Code: control.CodeInvalid, Detail: name + ": must be a UUID",
				Fields: []control.Field{{Field: name, Message: "must be a UUID"}}}
		}
		*into = id
	}
	return q, nil
}
