package cli_test

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// A key is shown to no other server than the one that it was given for.
func TestTheKeyFollowsNoRedirect(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		_, _ = w.Write([]byte(`{"data":[]}`))
	}))
	t.Cleanup(other.Close)
	hub := httptest.NewServer(http.RedirectHandler(other.URL+"/x", http.StatusTemporaryRedirect))
	t.Cleanup(hub.Close)
	r := run(t, nil, "instances", "list", "--url", hub.URL, "--key", "a-key-that-is-long-enough")
	require.Equal(t, 1, r.code)
	require.Contains(t, r.stderr, "redirects to")
	require.Contains(t, r.stderr, other.URL)
	require.Zero(t, asked.Load())
}
