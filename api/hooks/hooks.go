package hooks

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/omnihub/omni/api/problem"
	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/internal/omni"
)

// Receiver hands webhooks and pages to channels (gateway.Hooks).
type Receiver interface {
	// Find reports omni.ErrNotFound where Webhook would. It is asked before the
	// body is read: a stranger's is not.
	Find(ctx context.Context, channel, instanceID string) error
	// Webhook verifies, stores and answers a platform's call. omni.ErrNotFound
	// for an unknown instance, *channels.WebhookError for a refusal; any other
	// error means that nothing was stored.
	Webhook(ctx context.Context, channel, instanceID string, req channels.WebhookRequest) (channels.WebhookResponse, error)
	// Page is the handler of an instance's page, its prefix stripped.
	// omni.ErrNotFound where there is none.
	Page(instanceID string) (http.Handler, error)
}

// MaxBody is the largest webhook that is read, in bytes.
const MaxBody = 12 << 20

// maxTrusted is how many bytes are set aside on the word of a caller who has
// not shown yet who they are; beyond, memory grows with what really arrives.
const maxTrusted = 64 << 10

const (
	webhookPrefix = "/webhook/"
	pagePrefix    = "/chat/"
)

// Mount adds the routes.
func Mount(e gin.IRoutes, r Receiver, log *slog.Logger) {
	h := &handler{receiver: r, log: log, bodies: newAllowance(maxBodies)}
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut} {
		e.Handle(method, webhookPrefix+":channel/:instanceId", h.webhook)
	}
	e.Any(pagePrefix+":instanceId", h.page)
	e.Any(pagePrefix+":instanceId/*path", h.page)
}

type handler struct {
	receiver Receiver
	log      *slog.Logger
	bodies   *allowance
}

func (h *handler) webhook(c *gin.Context) {
	ctx := c.Request.Context()
	if err := h.receiver.Find(ctx, c.Param("channel"), c.Param("instanceId")); err != nil {
		c.Writer.Header().Set("Connection", "close") // its body is not read
		problem.Write(c.Writer, c.Request, h.refusal(ctx, err))
		return
	}
	body, release, p := h.readBody(c.Writer, c.Request)
	defer release()
	if p != nil {
		problem.Write(c.Writer, c.Request, p)
		return
	}
	resp, err := h.receiver.Webhook(ctx, c.Param("channel"), c.Param("instanceId"), channels.WebhookRequest{
		Method: c.Request.Method, Header: c.Request.Header, Query: c.Request.URL.Query(), Body: body, Now: time.Now()})
	if err != nil {
		problem.Write(c.Writer, c.Request, h.refusal(ctx, err))
		return
	}
	if resp.Status == 0 {
		resp.Status = http.StatusOK
	}
	if resp.ContentType == "" {
		resp.ContentType = "application/json"
	}
	c.Data(resp.Status, resp.ContentType, resp.Body)
}

// refusal tells the platform to come again where nothing was stored.
func (h *handler) refusal(ctx context.Context, err error) *problem.Problem {
	if refused, ok := errors.AsType[*channels.WebhookError](err); ok {
		p := problem.From(ctx, h.log, refused)
		if refused.Status == http.StatusServiceUnavailable || refused.Status == http.StatusTooManyRequests {
			p = p.After(time.Second)
		}
		return p
	}
	if errors.Is(err, omni.ErrNotFound) {
		return problem.New(http.StatusNotFound, "not_found", "no such instance of this channel")
	}
	h.log.WarnContext(ctx, "webhook not stored; the platform is told to come again", "error", err,
		"request_id", problem.RequestID(ctx))
	return problem.New(http.StatusServiceUnavailable, "unavailable", "the event could not be stored; send it again").After(time.Second)
}

// readBody reads the whole body. release gives back what it holds of the
// allowance, once nobody looks at it any more.
func (h *handler) readBody(w http.ResponseWriter, r *http.Request) (body []byte, release func(), p *problem.Problem) {
	release = func() {}
	tooLarge := problem.New(http.StatusRequestEntityTooLarge, "too_large", "the body is larger than 12 MiB")
	if r.ContentLength > MaxBody {
		w.Header().Set("Connection", "close") // the rest is not read
		return nil, release, tooLarge
	}
	limited := http.MaxBytesReader(w, r.Body, MaxBody)
	var err error
	if n := r.ContentLength; n > 0 && n <= maxTrusted {
		body = make([]byte, n)
		_, err = io.ReadFull(limited, body)
	} else {
		counted := &countedReader{from: limited, allowance: h.bodies, free: maxTrusted}
		release = counted.release
		body, err = io.ReadAll(counted)
	}
	var over *http.MaxBytesError
	switch {
	case errors.As(err, &over):
		return nil, release, tooLarge
	case errors.Is(err, errNoRoom):
		w.Header().Set("Connection", "close")
		return nil, release, problem.New(http.StatusServiceUnavailable, "unavailable", "too many large bodies at once; send it again").After(time.Second)
	case err != nil:
		return nil, release, problem.New(http.StatusBadRequest, "malformed_body", "the body ended before its end")
	}
	return body, release, nil
}

func (h *handler) page(c *gin.Context) {
	id := c.Param("instanceId")
	page, err := h.receiver.Page(id)
	if err != nil {
		problem.Write(c.Writer, c.Request, h.refusal(c.Request.Context(), err))
		return
	}
	r := c.Request.Clone(c.Request.Context())
	r.URL.Path = rooted(strings.TrimPrefix(r.URL.Path, pagePrefix+id))
	r.URL.RawPath = ""
	page.ServeHTTP(c.Writer, r)
}

func rooted(path string) string {
	if !strings.HasPrefix(path, "/") {
		return "/" + path
	}
	return path
}
