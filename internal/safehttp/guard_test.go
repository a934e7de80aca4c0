package safehttp

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"
)

func newGuard(t *testing.T, allow ...string) *Guard {
	t.Helper()
	g, err := New(allow)
	require.NoError(t, err)
	return g
}

func TestCheckURLRefuses(t *testing.T) {
	t.Parallel()
	g := newGuard(t)
	for _, u := range []string{
		"http://127.0.0.1/", "http://127.9.9.9:8080", "http://localhost", "http://LOCALHOST.:80/", "https://a.localhost/",
		"http://[::1]/", "http://[::ffff:127.0.0.1]/", "http://[::ffff:7f00:1]/", "http://[::127.0.0.1]/",
		"http://2130706433/", "http://0x7f000001/", "http://0x7f.1/", "http://0177.0.0.1/", "http://127.1/", "http://0/",
		"http://10.1.2.3/", "http://192.168.0.1", "http://172.16.0.1", "http://[fd00::1]/", "http://[fe80::1%25eth0]/",
		"http://169.254.169.254/latest/meta-data", "http://[fd00:ec2::254]/", "http://100.100.100.200/", "http://100.64.0.1",
		"http://224.0.0.1/", "http://[ff02::1]/", "http://0.0.0.0/", "http://[::]/", "http://255.255.255.255/",
		"http://[64:ff9b::7f00:1]/", "http://[2002:7f00:1::]/", "http://999.1.1.1/", "http://1.2.3.4.5/",
		"file:///etc/passwd", "ftp://example.com/x", "gopher://example.com", "//example.com/", "http://", "http:///x", "", "http://%zz/",
		"javascript:alert(1)", "data:text/plain,hi",
	} {
		err := g.CheckURL(u)
		var refused *RefusedError
		require.ErrorAs(t, err, &refused, "%s", u)
	}
}

func TestCheckURLAllows(t *testing.T) {
	t.Parallel()
	g := newGuard(t)
	for _, u := range []string{"https://example.com/x?y=z", "http://8.8.8.8/", "http://[2606:4700::1111]:8080/", "http://user:pw@example.com/",
		"http://127.0.0.1.example.com/", "https://0x7f.example/", "http://172.32.0.1/", "http://100.128.0.1/"} {
		require.NoError(t, g.CheckURL(u), u)
	}
}

func TestCheckURLNeverRepeatsCredentials(t *testing.T) {
	t.Parallel()
	for _, u := range []string{"http://user:hunter2@127.0.0.1/hunter2?k=hunter2", "http://user:hunter2@%zz/", "ftp://hunter2@x/"} {
		err := newGuard(t).CheckURL(u)
		require.Error(t, err)
		require.NotContains(t, err.Error(), "hunter2")
	}
}

func TestAllowList(t *testing.T) {
	t.Parallel()
	tests := []struct {
		allow   string
		url     string
		allowed bool
	}{
		{"127.0.0.1", "http://127.0.0.1:9999/", true},
		{"127.0.0.1", "http://127.0.0.2/", false},
		{"127.0.0.1", "http://localhost/", true}, // the name is let through, its address is checked when dialled
		{"127.0.0.0/8", "http://127.200.1.1/", true},
		{"127.0.0.1", "http://[::ffff:127.0.0.1]/", true},
		{"::ffff:10.0.0.0/104", "http://10.2.3.4/", true},
		{"::1", "http://[::1]:80/", true},
		{"[::1]:80", "http://[::1]/", true},
		{"[::1]:80", "http://[::1]:81/", false},
		{"localhost", "http://localhost:1/", true},
		{"localhost", "http://127.0.0.1:1/", true},
		{"localhost:1", "http://127.0.0.1:2/", false},
		{"10.0.0.0/8", "http://10.255.0.1/", true},
		{"10.0.0.0/8", "http://192.168.0.1/", false},
		{"*.internal", "http://db.eu.internal/", true},
		{"metadata.localhost", "http://metadata.localhost/", true},
		{"*.localhost", "http://a.localhost/", true},
		{"127.0.0.1:8080", "http://127.0.0.1:8080/", true},
		{"127.0.0.1:8080", "http://127.0.0.1/", false},
		{"127.0.0.1", "file:///etc/passwd", false},
	}
	for _, tt := range tests {
		err := newGuard(t, tt.allow).CheckURL(tt.url)
		require.Equal(t, tt.allowed, err == nil, "%s with %s: %v", tt.url, tt.allow, err)
	}
	_, err := New([]string{" ", "127.0.0.1 ", ""})
	require.NoError(t, err, "blanks between commas are no entries")
	for _, bad := range []string{"http://x", "10.0.0.0/99", "a b", "*", "*.", "host:0", "host:99999", "10.0.0", "-/-"} {
		_, err := New([]string{bad})
		require.ErrorContains(t, err, bad)
	}
}

func get(t *testing.T, c *http.Client, url string) error {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	resp, err := c.Do(req)
	if err == nil {
		require.NoError(t, resp.Body.Close())
	}
	return err
}

func TestClientRefusesLoopbackUnlessListed(t *testing.T) {
	t.Parallel()
	var hits atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits.Add(1) }))
	t.Cleanup(srv.Close)

	err := get(t, newGuard(t).Client(), srv.URL)
	var marked interface{ Refused() bool }
	require.ErrorAs(t, err, &marked)
	require.Zero(t, hits.Load())
	require.NoError(t, get(t, newGuard(t, "127.0.0.1").Client(), srv.URL))
	require.EqualValues(t, 1, hits.Load())
}

func TestTransportChecksTheDialledAddress(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(srv.Close)
	for _, host := range []string{"127.0.0.1", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "localhost"} {
		u, err := url.Parse(srv.URL)
		require.NoError(t, err)
		// The bare transport has no URL check: this is what a hostile name meets.
		err = get(t, &http.Client{Transport: newGuard(t).Transport()}, "http://"+host+":"+u.Port())
		require.Error(t, err, host)
		if strings.Contains(err.Error(), "no such host") {
			continue // this resolver does not know the old spellings
		}
		var refused *RefusedError
		require.ErrorAs(t, err, &refused, host)
	}
}

func TestRedirects(t *testing.T) {
	t.Parallel()
	var inner atomic.Int32
	secret := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { inner.Add(1) }))
	t.Cleanup(secret.Close)
	mux := http.NewServeMux()
	mux.HandleFunc("/in", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, secret.URL, http.StatusFound) })
	mux.HandleFunc("/file", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
	})
	mux.HandleFunc("/loop", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/loop", http.StatusFound) })
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)

	client := newGuard(t, strings.TrimPrefix(srv.URL, "http://")).Client()
	var refused *RefusedError
	require.ErrorAs(t, get(t, client, srv.URL+"/in"), &refused)
	require.Zero(t, inner.Load())
	require.ErrorAs(t, get(t, client, srv.URL+"/file"), &refused)
	require.ErrorContains(t, get(t, client, srv.URL+"/loop"), "redirects")
}

// A name that was public when it was configured and points inside when it is
// called is refused at the dial.
func TestRebindingIsRefused(t *testing.T) {
	t.Parallel()
	var hits atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits.Add(1) }))
	t.Cleanup(srv.Close)
	u, err := url.Parse(srv.URL)
	require.NoError(t, err)

	resolver := fakeDNS(t, netip.MustParseAddr("127.0.0.1"))
	g, err := New(nil, WithResolver(resolver))
	require.NoError(t, err)
	target := "http://rebind.example.test:" + u.Port()
	require.NoError(t, g.CheckURL(target))
	var refused *RefusedError
	require.ErrorAs(t, get(t, g.Client(), target), &refused)
	require.Zero(t, hits.Load())

	named, err := New([]string{"*.example.test"}, WithResolver(resolver))
	require.NoError(t, err)
	require.NoError(t, get(t, named.Client(), target), "a listed name is trusted")
	require.EqualValues(t, 1, hits.Load())
}

// fakeDNS answers every A question with addr and every other with nothing.
func fakeDNS(t *testing.T, addr netip.Addr) *net.Resolver {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buf[:n]) != nil || len(m.Questions) == 0 {
				continue
			}
			m.Response, m.Authoritative, m.Additionals = true, true, nil
			if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
				m.Answers = []dnsmessage.Resource{{
					Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 0},
					Body:   &dnsmessage.AResource{A: addr.As4()}}}
			}
			if out, err := m.Pack(); err == nil {
				_, _ = conn.WriteTo(out, from)
			}
		}
	}()
	t.Cleanup(func() { _ = conn.Close(); <-done })
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

func FuzzCheckURL(f *testing.F) {
	f.Add("http://127.0.0.1")
	f.Add("http://0x7f.1:99/")
	f.Add("http://[::ffff:1.2.3.4]%25x/")
	g, err := New([]string{"localhost", "10.0.0.0/8"})
	require.NoError(f, err)
	f.Fuzz(func(_ *testing.T, raw string) { _ = g.CheckURL(raw) })
}

func TestNamesAreLookedUpWhereTheyAreConfigured(t *testing.T) {
	t.Parallel()
	inside := fakeDNS(t, netip.MustParseAddr("10.1.2.3"))
	g, err := New(nil, WithResolver(inside))
	require.NoError(t, err)
	var refused *RefusedError
	require.ErrorAs(t, g.CheckHost(t.Context(), "https://internal.example.test/x"), &refused)
	require.Contains(t, refused.Error(), "internal.example.test")
	require.NotContains(t, refused.Error(), "10.1.2.3", "what a name of ours stands for is nobody's business")
	require.ErrorAs(t, g.CheckHost(t.Context(), "http://127.0.0.1/"), &refused, "as CheckURL does")
	require.ErrorAs(t, g.CheckHost(t.Context(), "ftp://internal.example.test/"), &refused)
	require.NoError(t, g.CheckHost(t.Context(), "https://93.184.216.34/"))

	for _, allowed := range []string{"10.0.0.0/8", "*.example.test"} {
		listed, err := New([]string{allowed}, WithResolver(inside))
		require.NoError(t, err)
		require.NoError(t, listed.CheckHost(t.Context(), "https://internal.example.test/"), allowed)
	}
	public, err := New(nil, WithResolver(fakeDNS(t, netip.MustParseAddr("93.184.216.34"))))
	require.NoError(t, err)
	require.NoError(t, public.CheckHost(t.Context(), "https://public.example.test/"))
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, g.CheckHost(gone, "https://internal.example.test/"), "what cannot be looked up now is seen when it is called")
}
