package hooks_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/omnihub/omni/api/hooks"
	"github.com/omnihub/omni/channels"
)

type instant struct{}

func (instant) Webhook(context.Context, string, string, channels.WebhookRequest) (channels.WebhookResponse, error) {
	return channels.WebhookResponse{Status: http.StatusAccepted, Body: []byte(`{"data":{}}`)}, nil
}

func (instant) Find(context.Context, string, string) error { return nil }

func (instant) Page(string) (http.Handler, error) { return http.NotFoundHandler(), nil }

// BenchmarkWebhook is what the door itself costs, connections included.
func BenchmarkWebhook(b *testing.B) {
	gin.SetMode(gin.ReleaseMode)
	e := gin.New()
	hooks.Mount(e, instant{}, slog.New(slog.DiscardHandler))
	srv := httptest.NewServer(e)
	defer srv.Close()
	body := strings.Repeat("x", 600)
	b.RunParallel(func(pb *testing.PB) {
		client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 4}}
		for pb.Next() {
			resp, err := client.Post(srv.URL+"/webhook/custom/x", "application/json", strings.NewReader(body))
			if err != nil {
				b.Error(err)
				return
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
	})
}
