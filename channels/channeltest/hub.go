package channeltest

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels"
)

// Hub stands in for Omni around one instance of a channel: it owns the sink,
// the small stores and an HTTP server with the instance's webhook and page.
type Hub struct {
	Channel    channels.Channel
	InstanceID string
	URL        string // of the HTTP server: the instance's PublicURL
	Sink       *Sink
	KV         *KV
	Live       *Live
	History    *History
	HTTP       *http.Client // lets through whatever it is asked for

	values func() []byte
}

// NewHub makes a Hub that is closed with the test.
func NewHub(t testing.TB, c channels.Channel) *Hub {
	t.Helper()
	h := &Hub{Channel: c, InstanceID: uuid.NewString(), Sink: NewSink(), KV: NewKV(), Live: NewLive(), History: NewHistory()}
	transport := &http.Transport{}
	h.HTTP = &http.Client{Transport: transport}
	srv := httptest.NewServer(h)
	h.URL = srv.URL
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
		transport.CloseIdleConnections()
	})
	return h
}

// SetValues sets the instance's channelConfig.
func (h *Hub) SetValues(values []byte) { h.values = func() []byte { return values } }

// Config is the instance's configuration as the channel sees it.
func (h *Hub) Config() channels.Config {
	cfg := channels.Config{TenantID: "default", InstanceID: h.InstanceID, PublicURL: h.URL}
	if h.values != nil {
		cfg.Values = h.values()
	}
	return cfg
}

// Deps is what a session is handed.
func (h *Hub) Deps() channels.Deps {
	return channels.Deps{Log: slog.New(slog.DiscardHandler), HTTP: h.HTTP, KV: h.KV, Live: h.Live}
}

// WebhookURL is where the instance's platform calls.
func (h *Hub) WebhookURL() string {
	return h.URL + "/webhook/" + h.Channel.Info().Type + "/" + h.InstanceID
}

// PageURL is the instance's chat page.
func (h *Hub) PageURL() string { return h.URL + "/chat/" + h.InstanceID }

// Open makes a session that is stopped with the test.
func (h *Hub) Open(t testing.TB) channels.Session {
	t.Helper()
	s, err := h.Channel.New(h.Config(), h.Deps())
	require.NoError(t, err)
	t.Cleanup(func() {
		// t.Context has ended by now.
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		require.NoError(t, s.Stop(ctx))
	})
	return s
}

// Start makes a session, starts it and waits until it is active.
func (h *Hub) Start(t testing.TB) channels.Session {
	t.Helper()
	s := h.Open(t)
	require.NoError(t, s.Start(t.Context(), h.Sink))
	require.NoError(t, h.Sink.Wait(Soon(t), func() bool { return h.Sink.LastStatus() == channels.StatusActive }))
	return s
}

// ServeHTTP serves the webhook and the page.
func (h *Hub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	page := "/chat/" + h.InstanceID
	switch receiver, _ := h.Channel.(channels.WebhookReceiver); {
	case receiver != nil && h.URL+r.URL.Path == h.WebhookURL():
		h.serveWebhook(receiver, w, r)
	case r.URL.Path == page || strings.HasPrefix(r.URL.Path, page+"/"):
		server, ok := h.Channel.(channels.PageServer)
		if !ok {
			http.NotFound(w, r)
			return
		}
		handler := server.Page(h.Config(), channels.PageDeps{Deps: h.Deps(), Sink: h.Sink, History: h.History})
		http.StripPrefix(page, handler).ServeHTTP(w, r)
	default:
		http.NotFound(w, r)
	}
}

func (h *Hub) serveWebhook(c channels.WebhookReceiver, w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	resp, err := c.ReceiveWebhook(r.Context(), h.Config(), channels.WebhookRequest{
		Method: r.Method, Header: r.Header, Query: r.URL.Query(), Body: body, Now: time.Now()}, h.Sink)
	var refused *channels.WebhookError
	switch {
	case errors.As(err, &refused):
		http.Error(w, refused.Error(), refused.Status)
	case err != nil:
		http.Error(w, "internal error", http.StatusInternalServerError)
	default:
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(resp.Status)
		_, _ = w.Write(resp.Body)
	}
}
