package hooks

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels"
)

// taker takes every webhook.
type taker struct{}

func (taker) Find(context.Context, string, string) error { return nil }

func (taker) Webhook(_ context.Context, _, _ string, _ channels.WebhookRequest) (channels.WebhookResponse, error) {
	return channels.WebhookResponse{Status: http.StatusAccepted, Body: []byte(`{}`)}, nil
}

func (taker) Page(string) (http.Handler, error) { return http.NotFoundHandler(), nil }

// Strangers who send large bodies, and slowly, hold only so much memory; what
// platforms usually send is taken meanwhile.
func TestLargeBodiesShareAnAllowance(t *testing.T) {
	t.Parallel()
	gin.SetMode(gin.ReleaseMode)
	e := gin.New()
	h := &handler{receiver: taker{}, log: slog.New(slog.DiscardHandler), bodies: newAllowance(1 << 20)}
	e.POST("/webhook/:channel/:instanceId", h.webhook)
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	send := func(body io.Reader) (*http.Response, error) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/webhook/custom/1", body)
		if err != nil {
			return nil, err
		}
		resp, err := server.Client().Do(req)
		if err != nil {
			return nil, err
		}
		return resp, resp.Body.Close()
	}
	post := func(body io.Reader) *http.Response {
		resp, err := send(body)
		require.NoError(t, err)
		return resp
	}
	text := func(n int) io.Reader { return strings.NewReader(strings.Repeat("x", n)) }
	chunked := func(n int) io.Reader { return struct{ io.Reader }{text(n)} }

	slow, fill := io.Pipe()
	answered := make(chan int, 1)
	go func() {
		resp, err := send(slow)
		if err != nil {
			resp = &http.Response{}
		}
		answered <- resp.StatusCode
	}()
	_, err := io.Copy(fill, text(maxTrusted+1<<20))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return h.bodies.left.Load() == 0 }, 10*time.Second, time.Millisecond)
	for _, large := range []io.Reader{text(200 << 10), chunked(200 << 10)} {
		resp := post(large)
		require.Equal(t, http.StatusServiceUnavailable, resp.StatusCode)
		require.Equal(t, "1", resp.Header.Get("Retry-After"))
	}
	require.Equal(t, http.StatusAccepted, post(text(maxTrusted)).StatusCode)
	require.Equal(t, http.StatusAccepted, post(chunked(maxTrusted)).StatusCode)
	require.NoError(t, fill.Close())
	require.Equal(t, http.StatusAccepted, <-answered)
	require.Eventually(t, func() bool { return h.bodies.left.Load() == 1<<20 }, 10*time.Second, time.Millisecond)
	require.Equal(t, http.StatusAccepted, post(text(200<<10)).StatusCode)
}
