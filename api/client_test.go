package api_test

import (
	"io"
	"net/http"
	"net/netip"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/api"
)

// pageThatTells answers with the address that a chat page sees.
var pageThatTells = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.RemoteAddr) })

func (h *hub) forwarded(path, key string, forwardedFor ...string) (status int, body string) {
	h.t.Helper()
	req, err := http.NewRequestWithContext(h.t.Context(), http.MethodGet, h.server.URL+path, http.NoBody)
	require.NoError(h.t, err)
	req.Header["X-Forwarded-For"] = forwardedFor
	req.Header.Set("X-Real-Ip", "203.0.113.66")
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	resp, err := h.server.Client().Do(req)
	require.NoError(h.t, err)
	defer func() { require.NoError(h.t, resp.Body.Close()) }()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(h.t, err)
	return resp.StatusCode, string(raw)
}

func TestTheClientIsWhomATrustedProxyNames(t *testing.T) {
	t.Parallel()
	h := newHub(t, func(d *api.Deps) {
		d.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	})
	h.hooks.page = pageThatTells
	for name, c := range map[string]struct {
		header []string
		want   string // "": the proxy's own
	}{
		"the client":                      {[]string{"203.0.113.9"}, "203.0.113.9:0"},
		"what the client sent before it":  {[]string{"198.51.100.1, 203.0.113.9"}, "203.0.113.9:0"},
		"in a line of its own":            {[]string{"198.51.100.1", "203.0.113.9"}, "203.0.113.9:0"},
		"through two proxies of ours":     {[]string{"198.51.100.1, 203.0.113.9, 10.1.1.1"}, "203.0.113.9:0"},
		"with a port":                     {[]string{"203.0.113.9:4711"}, "203.0.113.9:0"},
		"IPv6":                            {[]string{"2001:db8::1, [fd00::1]:99"}, "[2001:db8::1]:0"},
		"IPv4 written as IPv6":            {[]string{"::ffff:203.0.113.9"}, "203.0.113.9:0"},
		"nothing":                         {nil, ""},
		"no address":                      {[]string{"203.0.113.9, unknown"}, ""},
		"junk further away is not looked": {[]string{"<script>, 203.0.113.9"}, "203.0.113.9:0"},
		"only proxies":                    {[]string{"10.1.1.1"}, ""},
	} {
		_, got := h.forwarded("/chat/"+uuid.NewString(), "", c.header...)
		if c.want == "" {
			require.Regexp(t, `^127\.0\.0\.1:\d+$`, got, name)
			continue
		}
		require.Equal(t, c.want, got, name)
	}
}

func TestAnUntrustedPeerForgesNoAddress(t *testing.T) {
	t.Parallel()
	for name, proxies := range map[string][]netip.Prefix{"nobody is trusted": nil, "another is": {netip.MustParsePrefix("10.0.0.0/8")}} {
		h := newHub(t, func(d *api.Deps) { d.TrustedProxies = proxies })
		h.hooks.page = pageThatTells
		_, got := h.forwarded("/chat/"+uuid.NewString(), "", "203.0.113.9")
		require.Regexp(t, `^127\.0\.0\.1:\d+$`, got, name)
		require.Positive(t, h.guesses(250), "%s: a new address in the header with each guess changes nothing", name)
	}
}

// guesses tries wrong keys, each said to come from another address, and returns
// how many were not listened to.
func (h *hub) guesses(n int) (limited int) {
	h.t.Helper()
	for i := range n {
		status, _ := h.forwarded("/api/v1/messages", "guess-"+uuid.NewString(), netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}).String())
		if status == http.StatusTooManyRequests {
			limited++
		}
	}
	return limited
}

func TestWrongKeysOfOneClientLeaveOthersBehindTheProxyAlone(t *testing.T) {
	t.Parallel()
	h := newHub(t, func(d *api.Deps) { d.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} })
	limited := 0
	for range 250 {
		if status, _ := h.forwarded("/api/v1/messages", "guess-"+uuid.NewString(), "203.0.113.9"); status == http.StatusTooManyRequests {
			limited++
		}
	}
	require.Positive(t, limited)
	status, _ := h.forwarded("/api/v1/messages", "guess-"+uuid.NewString(), "203.0.113.10")
	require.Equal(t, http.StatusUnauthorized, status, "another client is asked for its key")
	require.Zero(t, h.guesses(100), "each address has guesses of its own")
}
