package ws

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// writeTimeout is how long one write to a client may take; whoever is slower
// is let go, and can come back with its last position.
const writeTimeout = 20 * time.Second

// ServeSSE writes the stream as server-sent events until the client leaves:
// the head at once, then per event id: (the position) and data: (one
// CloudEvent), and a comment now and then while nothing happens. Tokens have
// no position, so no id: a browser comes back from its last event.
func (s *Stream) ServeSSE(ctx context.Context, w http.ResponseWriter) {
	defer s.Close()
	rc := http.NewResponseController(w)
	// The server's own deadlines are for requests that end.
	_ = rc.SetReadDeadline(time.Time{})
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	if !send(rc, w, []byte(": omni event log\nretry: 1000\n\n")) {
		return
	}
	for {
		items, err := s.next(ctx)
		if !s.allowed(ctx) {
			return
		}
		switch {
		case errors.Is(err, errIdle):
			if !send(rc, w, []byte(": still here\n\n")) {
				return
			}
		case err != nil:
			// The client comes back with Last-Event-ID; the reason is for people.
			send(rc, w, []byte(": "+reason(err)+"\n\n"))
			return
		default:
			if !send(rc, w, frames(items)) {
				return
			}
		}
	}
}

func frames(items []item) []byte {
	var b []byte
	for i := range items {
		if p := items[i].event.Position; !p.IsZero() {
			b = append(b, "id: "...)
			b = append(b, p.String()...)
			b = append(b, '\n')
		}
		b = append(b, "data: "...)
		b = append(b, items[i].json...)
		b = append(b, "\n\n"...)
	}
	return b
}

func send(rc *http.ResponseController, w http.ResponseWriter, b []byte) bool {
	_ = rc.SetWriteDeadline(time.Now().Add(writeTimeout))
	if _, err := w.Write(b); err != nil {
		return false
	}
	return rc.Flush() == nil
}

func reason(err error) string {
	switch {
	case errors.Is(err, ErrClosed):
		return "the hub is shutting down; come back with the last position"
	case errors.Is(err, context.Canceled):
		return "closed"
	default:
		return "the event log cannot be read right now; come back with the last position"
	}
}
