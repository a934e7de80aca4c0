package temporald

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A page of somebody else's, whose name has come to stand for this machine,
// reads and ends no workflows.
func TestUIIsNotOpenUnderForeignNames(t *testing.T) {
	t.Parallel()
	ui := NewUI(0, "default", func() string { return "127.0.0.1:1" })
	require.NoError(t, ui.Start(t.Context()))
	t.Cleanup(func() { require.NoError(t, ui.Stop(t.Context())) })
	_, port, _ := strings.Cut(strings.TrimPrefix(ui.URL(), "http://"), ":")
	get := func(host, path string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, ui.URL()+path, http.NoBody)
		require.NoError(t, err)
		req.Host = host
		resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
		require.NoError(t, err)
		defer func() { require.NoError(t, resp.Body.Close()) }()
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return resp.StatusCode, string(body)
	}
	for _, host := range []string{"127.0.0.1:" + port, "localhost:" + port, "LOCALHOST", "[::1]:9", "omni.localhost:1", "192.168.1.7:8233"} {
		status, page := get(host, "/namespaces/default/workflows/message%2F1")
		require.Equal(t, http.StatusOK, status, host)
		require.Contains(t, page, "<html", host)
		status, settings := get(host, "/api/v1/settings")
		require.Equal(t, http.StatusOK, status, host)
		require.Contains(t, settings, `"default"`, host)
	}
	for _, host := range []string{"evil.example:" + port, "evil.example", "127.0.0.1.evil.example:" + port, "localhost.evil.example", "evillocalhost:1", "0x7f.1"} {
		for _, path := range []string{"/", "/api/v1/settings", "/api/v1/namespaces/default/workflows"} {
			status, body := get(host, path)
			require.Equal(t, http.StatusMisdirectedRequest, status, host+path)
			require.NotContains(t, body, "<html")
		}
	}
}

func TestUISaysThatItsPortIsTaken(t *testing.T) {
	t.Parallel()
	first := NewUI(0, "default", func() string { return "127.0.0.1:1" })
	require.NoError(t, first.Start(t.Context()))
	t.Cleanup(func() { require.NoError(t, first.Stop(t.Context())) })
	_, port, _ := strings.Cut(strings.TrimPrefix(first.URL(), "http://"), ":")
	taken, err := strconv.Atoi(port)
	require.NoError(t, err)
	second := NewUI(taken, "default", func() string { return "127.0.0.1:1" })
	require.ErrorContains(t, second.Start(t.Context()), "taking a port")
	require.NoError(t, second.Stop(t.Context()))
}
