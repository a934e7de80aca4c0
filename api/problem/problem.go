package problem

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/internal/control"
	"github.com/omnihub/omni/internal/omni"
)

// ContentType of every error.
const ContentType = "application/problem+json"

// Problem is an error as it is answered.
type Problem struct { //nolint:errname // RFC 9457 calls it so
	Type      string          `json:"type" doc:"always about:blank: code says more" example:"about:blank"`
	Title     string          `json:"title" doc:"the HTTP status in words" example:"Unprocessable Entity"`
	Status    int             `json:"status" doc:"the HTTP status" example:"422"`
	Code      string          `json:"code" doc:"stable, for programs" example:"validation_failed"`
	Detail    string          `json:"detail" doc:"for people" example:"name: is required"`
	Errors    []control.Field `json:"errors,omitempty" doc:"what is wrong with which field"`
	RequestID string          `json:"requestId,omitempty" doc:"quote it when asking for help"`

	retryAfter time.Duration
}

// New makes a problem of a status and a code.
func New(status int, code, detail string) *Problem {
	return &Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Code: code, Detail: detail}
}

// Error is the code and the detail.
func (p *Problem) Error() string { return p.Code + ": " + p.Detail }

// GetStatus is the HTTP status (huma.StatusError).
func (p *Problem) GetStatus() int { return p.Status }

// ContentType turns JSON into problem JSON (huma.ContentTypeFilter).
func (p *Problem) ContentType(string) string { return ContentType }

// GetHeaders adds Retry-After where there is a time to wait (huma.HeadersError).
func (p *Problem) GetHeaders() http.Header {
	h := http.Header{}
	p.setHeaders(h)
	return h
}

func (p *Problem) setHeaders(h http.Header) {
	if p.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(p.retryAfter.Seconds()))))
	}
	if p.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="omni"`)
	}
}

// After says when to come again.
func (p *Problem) After(d time.Duration) *Problem {
	p.retryAfter = d
	return p
}

// Write answers with the problem.
func Write(w http.ResponseWriter, r *http.Request, p *Problem) {
	p.RequestID = RequestID(r.Context())
	h := w.Header()
	p.setHeaders(h)
	h.Set("Content-Type", ContentType)
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) //nolint:errchkjson // the client is gone, then
}

var statusOf = map[control.Kind]int{
	control.KindMalformed:    http.StatusBadRequest,
	control.KindInvalid:      http.StatusUnprocessableEntity,
	control.KindUnauthorized: http.StatusUnauthorized,
	control.KindForbidden:    http.StatusForbidden,
	control.KindNotFound:     http.StatusNotFound,
	control.KindConflict:     http.StatusConflict,
	control.KindUnsupported:  http.StatusUnprocessableEntity,
	control.KindUnavailable:  http.StatusServiceUnavailable,
	control.KindLimited:      http.StatusTooManyRequests,
}

// From turns any error into the problem it is answered with. What is no
// refusal of ours is logged, and answered without its text: that may name what
// outsiders need not know.
func From(ctx context.Context, log *slog.Logger, err error) *Problem {
	p := known(err)
	if p == nil {
		if ctx.Err() != nil {
			p = New(http.StatusServiceUnavailable, "cancelled", "the request was cancelled")
		} else {
			log.ErrorContext(ctx, "request failed", "error", err, "request_id", RequestID(ctx))
			p = New(http.StatusInternalServerError, "internal", "something went wrong here; the log has the details")
		}
	}
	p.RequestID = RequestID(ctx)
	return p
}

func known(err error) *Problem {
	if p, ok := errors.AsType[*Problem](err); ok {
		return p
	}
	if refused, ok := errors.AsType[*control.Error](err); ok {
		p := New(statusOf[refused.Kind], refused.Code, refused.Detail).After(refused.RetryAfter)
		p.Errors = refused.Fields
		return p
	}
	if hook, ok := errors.AsType[*channels.WebhookError](err); ok {
		p := New(hook.Status, hook.Code, hook.Detail)
		if hook.Field != "" {
			p.Errors = []control.Field{{Field: hook.Field, Message: hook.Detail}}
		}
		return p
	}
	if errors.Is(err, omni.ErrNotFound) {
		return New(http.StatusNotFound, control.CodeNotFound, "no such object")
	}
	if errors.Is(err, omni.ErrUnstorable) {
		return New(http.StatusUnprocessableEntity, control.CodeInvalid, omni.ErrUnstorable.Error()+", which cannot be stored")
	}
	return nil
}

type requestIDKey struct{}

// WithRequestID returns a context that knows its request's id.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestIDKey{}, id)
}

// RequestID is the id of the request, "" outside of one.
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}
