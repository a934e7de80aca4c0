package api_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/api"
	"github.com/omnihub/omni/internal/control"
)

// A process without the API says how it is, and nothing else.
func TestHealthOfAProcessWithoutTheAPI(t *testing.T) {
	t.Parallel()
	trouble := make(chan error, 1)
	health := control.NewHealth([]control.Check{{Name: "pipeline", Func: func(context.Context) error {
		select {
		case err := <-trouble:
			return err
		default:
			return nil
		}
	}}})
	metrics := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "omni_up 1") })
	s := api.NewHealth("127.0.0.1:0", health, metrics, slog.New(slog.DiscardHandler))
	require.NoError(t, s.Stop(t.Context()), "not started")
	require.NoError(t, s.Start(t.Context()))
	get := func(path string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.Addr()+path, nil)
		require.NoError(t, err)
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer func() { _ = resp.Body.Close() }()
		b, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return resp.StatusCode, string(b)
	}
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 200, "/metrics": 200, "/api/v1/messages": 404, "/openapi.json": 404} {
		status, _ := get(path)
		require.Equal(t, want, status, path)
	}
	trouble <- errors.New("no worker polls")
	status, body := get("/readyz")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Contains(t, body, "no worker polls")
	require.NoError(t, s.Stop(t.Context()))

	taken := api.NewHealth("127.0.0.1:0", health, nil, slog.New(slog.DiscardHandler))
	require.NoError(t, taken.Start(t.Context()))
	require.ErrorContains(t, api.NewHealth(taken.Addr(), health, nil, slog.New(slog.DiscardHandler)).Start(t.Context()), "OMNI_HEALTH_PORT")
	require.NoError(t, taken.Stop(t.Context()))
}
