package channels

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Wire watches one HTTP request, so that a failed one can be told apart: never
// left this machine (certain), or may have reached the platform (uncertain).
type Wire struct {
	written atomic.Bool
}

// WatchWire returns a context for one request and the Wire that watches it.
func WatchWire(ctx context.Context) (context.Context, *Wire) {
	w := &Wire{}
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		// Headers go out before the body: a request whose headers were written
		// may have been acted upon, whatever became of the rest.
		WroteHeaderField: func(string, []string) { w.written.Store(true) },
		WroteHeaders:     func() { w.written.Store(true) },
	}), w
}

// Written reports whether any part of the request may have left.
func (w *Wire) Written() bool { return w.written.Load() }

// SendError classifies the error of an HTTP client for a channel whose sends
// are idempotent or not. reason is for people and must hold no secret.
func (w *Wire) SendError(err error, idempotent bool, reason string) *SendError {
	var refused interface{ Refused() bool }
	if errors.As(err, &refused) && refused.Refused() {
		return &SendError{Kind: ErrRejected, Certain: true, Reason: reason}
	}
	switch {
	case !w.Written():
		return &SendError{Kind: ErrTransient, Certain: true, Reason: reason}
	case idempotent:
		return &SendError{Kind: ErrTransient, Reason: reason}
	default:
		return &SendError{Kind: ErrUnknown, Reason: reason}
	}
}

// maxRetryAfter bounds what a platform may ask for; a longer wait is a broken
// clock or an attack on the queue.
const maxRetryAfter = 24 * time.Hour

// RetryAfter reads a Retry-After header: seconds (fractions allowed) or an HTTP
// date. It returns 0 where there is none or it cannot be read.
func RetryAfter(h http.Header, now time.Time) time.Duration {
	v := strings.TrimSpace(h.Get("Retry-After"))
	if v == "" {
		return 0
	}
	var d time.Duration
	if secs, err := strconv.ParseFloat(v, 64); err == nil {
		if !(secs > 0) {
			return 0
		}
		if secs > maxRetryAfter.Seconds() {
			return maxRetryAfter
		}
		d = time.Duration(secs * float64(time.Second))
	} else if at, err := http.ParseTime(v); err == nil {
		d = at.Sub(now)
	}
	return max(0, min(d, maxRetryAfter))
}

// RetryAfterSeconds is a wait that a platform names in whole seconds, within
// the same bounds.
func RetryAfterSeconds(s int) time.Duration {
	return time.Duration(max(0, min(s, int(maxRetryAfter/time.Second)))) * time.Second
}
