package provider

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/telemetry"
)

// maxResponse is how much of an answer is read. The longest answers of models
// are a tenth of it.
const maxResponse = 4 << 20

// maxReason is how much of a service's error text is kept, in bytes.
const maxReason = 500

var errTooLarge = errors.New("the answer is too large")

// exchange is one HTTP call, watched: it caps what is read, and remembers what
// a client library does not tell when it fails.
type exchange struct {
	next   http.RoundTripper
	stream bool // the body is handed on as it comes

	status int
	header http.Header
	body   []byte // not of streams that succeeded
	err    error  // of the transport, or of reading the body
	tail   tail
}

// client returns a copy of c whose one call is watched.
func (x *exchange) client(c *http.Client) *http.Client {
	if x.next = c.Transport; x.next == nil {
		x.next = http.DefaultTransport
	}
	watched := *c
	watched.Transport = x
	// A redirect would take the key, and what people said, to another place.
	watched.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &watched
}

// RoundTrip implements http.RoundTripper.
func (x *exchange) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := x.next.RoundTrip(req)
	if err != nil {
		x.err = err
		return nil, err
	}
	x.status, x.header = res.StatusCode, res.Header
	capped := &cappedBody{ReadCloser: res.Body, left: maxResponse, fail: func(err error) { x.err = err }}
	if x.stream && res.StatusCode < 300 && !strings.HasPrefix(res.Header.Get("Content-Type"), typeJSON) { // else it is no stream
		res.Body = struct {
			io.Reader
			io.Closer
		}{io.TeeReader(capped, &x.tail), capped}
		return res, nil
	}
	x.body, err = io.ReadAll(capped)
	_ = res.Body.Close()
	if err != nil {
		return nil, err
	}
	if res.Header.Get("Content-Type") == "" || strings.HasPrefix(res.Header.Get("Content-Type"), "text/plain") {
		// Many small servers forget to say what they answer with.
		if json.Valid(x.body) {
			res.Header = res.Header.Clone()
			res.Header.Set("Content-Type", "application/json")
		}
	}
	res.Body = io.NopCloser(bytes.NewReader(x.body))
	res.ContentLength = int64(len(x.body))
	return res, nil
}

// cappedBody fails, rather than ends, where there is more than may be read.
type cappedBody struct {
	io.ReadCloser
	left int
	fail func(error)
}

func (b *cappedBody) Read(p []byte) (int, error) {
	if len(p) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	if n > b.left {
		n, err = b.left, errTooLarge
	}
	b.left -= n
	if err != nil && !errors.Is(err, io.EOF) {
		b.fail(err)
	}
	return n, err
}

// tail keeps the last bytes of a stream.
type tail struct{ last []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.last = append(t.last, p...)
	if len(t.last) > 64 {
		t.last = append(t.last[:0], t.last[len(t.last)-64:]...)
	}
	return len(p), nil
}

// failure says what a failed call was. err is the client library's word, used
// only where the exchange itself went well.
func (x *exchange) failure(ctx context.Context, err error, secrets ...string) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	e := &omni.AgentError{Status: x.status}
	var refused interface{ Refused() bool }
	switch {
	case x.status >= 300:
		e.Kind, e.RetryAfter, e.Reason = kindOf(x.status), retryAfter(x.header, time.Now()), x.reason()
	case errors.Is(x.err, errTooLarge):
		e.Kind, e.Reason = omni.AgentTooLarge, "more than "+strconv.Itoa(maxResponse>>20)+" MiB"
	case errors.As(x.err, &refused):
		e.Kind, e.Reason = omni.AgentBadRequest, x.err.Error()
	case x.err != nil && x.status != 0:
		e.Kind, e.Reason = omni.AgentCut, "the answer broke off: "+x.err.Error()
	case x.err != nil:
		e.Kind, e.Reason = omni.AgentTransient, networkReason(x.err)
	case x.status == 0: // no call was made
		e.Kind, e.Reason = omni.AgentBadRequest, err.Error()
	default:
		e.Kind, e.Reason = omni.AgentMalformed, "not an answer of this kind of service: "+err.Error()
	}
	return scrubbed(e, secrets...)
}

// scrubbed is e without secrets, and of a bearable length.
func scrubbed(e *omni.AgentError, secrets ...string) *omni.AgentError {
	e.Reason = shorten(omni.CleanText(telemetry.Scrub(e.Reason, secrets...)))
	return e
}

func kindOf(status int) omni.AgentErrorKind {
	switch {
	case status == http.StatusTooManyRequests:
		return omni.AgentRateLimited
	case status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusPaymentRequired:
		return omni.AgentBadCredentials
	case status >= 500, status == http.StatusRequestTimeout, status == http.StatusConflict, status == http.StatusTooEarly:
		return omni.AgentTransient
	default:
		return omni.AgentBadRequest
	}
}

// reason is what a service says of its refusal: the message in its JSON, else
// the beginning of a text that is no page.
func (x *exchange) reason() string {
	var said struct {
		Error   json.RawMessage `json:"error"`
		Message string          `json:"message"`
		Detail  string          `json:"detail"`
	}
	if json.Unmarshal(x.body, &said) == nil {
		var inner struct {
			Message string `json:"message"`
		}
		var text string
		_ = json.Unmarshal(said.Error, &inner)
		_ = json.Unmarshal(said.Error, &text)
		for _, s := range []string{inner.Message, text, said.Message, said.Detail} {
			if s != "" {
				return s
			}
		}
	}
	if x.status < http.StatusBadRequest {
		return "it redirects, and redirects are not followed: set apiUrl to where it leads"
	}
	text := strings.TrimSpace(string(x.body))
	if text == "" || strings.HasPrefix(text, "<") || !utf8.ValidString(text) {
		return http.StatusText(x.status)
	}
	return text
}

// networkReason drops the URL that http.Client puts in front: its query may
// hold a key.
func networkReason(err error) string {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Error()
	}
	return err.Error()
}

func shorten(s string) string {
	if len(s) <= maxReason {
		return s
	}
	return strings.ToValidUTF8(s[:maxReason], "") + "…"
}

// maxRetryAfter keeps a service's wish a duration that can be added to others.
// It is longer than any agent.retryForSeconds.
const maxRetryAfter = 60 * 24 * time.Hour

// retryAfter reads Retry-After, in seconds or as a date, and the finer
// retry-after-ms that some services send.
func retryAfter(h http.Header, now time.Time) time.Duration {
	if ms, err := strconv.ParseFloat(h.Get("Retry-After-Ms"), 64); err == nil && ms > 0 {
		return secondsOf(ms / 1000)
	}
	value := strings.TrimSpace(h.Get("Retry-After"))
	if s, err := strconv.ParseFloat(value, 64); err == nil && s > 0 {
		return secondsOf(s)
	}
	if at, err := http.ParseTime(value); err == nil && at.After(now) {
		return min(at.Sub(now), maxRetryAfter)
	}
	return 0
}

func secondsOf(s float64) time.Duration {
	return time.Duration(min(s, maxRetryAfter.Seconds()) * float64(time.Second))
}
