package ws

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/api/auth"
	"github.com/omnihub/omni/internal/control"
	"github.com/omnihub/omni/internal/omni"
)

// revocable knows one key until that is revoked.
type revocable struct{ revoked atomic.Bool }

func (r *revocable) Authenticate(context.Context, string) (*omni.APIKey, error) {
	if r.revoked.Load() {
		return nil, &control.Error{Kind: control.KindUnauthorized}
	}
	return &omni.APIKey{TenantID: "a", Scopes: []string{omni.ScopeAdmin}}, nil
}

func TestARevokedKeyIsNoticedWhileThereIsMuchToSend(t *testing.T) {
	t.Parallel()
	log := &memLog{}
	h := newTestHub(t, log)
	keys := &revocable{}
	gin.SetMode(gin.ReleaseMode)
	e := gin.New()
	e.GET("/", auth.Required(keys, auth.NewLimits(-1, 0), nil, slog.New(slog.DiscardHandler)), func(c *gin.Context) {
		s, err := h.Open(c.Request.Context(), control.EventQuery{})
		if err != nil {
			c.Status(http.StatusInternalServerError)
			return
		}
		s.checked = s.checked.Add(-heartbeat) // it is time to look
		keys.revoked.Store(true)
		log.add(10, "a")
		h.nudge()
		s.ServeSSE(c.Request.Context(), c.Writer)
	})
	server := httptest.NewServer(e)
	defer server.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
	require.NoError(t, err)
	resp, err := server.Client().Do(req)
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.NotContains(t, string(body), "data:")
}
