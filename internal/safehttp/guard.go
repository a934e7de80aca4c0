package safehttp

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"
)

// maxRedirects is how many redirects one request follows.
const maxRedirects = 5

// maxResponseHeader is what is read of an answer's headers, in bytes.
const maxResponseHeader = 256 << 10

// RefusedError says that a URL or address may not be called.
type RefusedError struct {
	Target string // host or address, never credentials, path or query
	Reason string
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("%s may not be called: %s (see OMNI_ALLOW_PRIVATE_NETWORKS)", e.Target, e.Reason)
}

// Refused marks the error for packages that must not import this one.
func (e *RefusedError) Refused() bool { return true }

// Guard decides which addresses outgoing calls may reach. It is immutable and
// safe for concurrent use.
type Guard struct {
	allow    *allowList
	resolver *net.Resolver
}

// Option changes a Guard while it is made.
type Option func(*Guard)

// WithResolver looks names up with r.
func WithResolver(r *net.Resolver) Option { return func(g *Guard) { g.resolver = r } }

// New makes a Guard. allow holds the exceptions: addresses ("127.0.0.1"), CIDRs
// ("10.0.0.0/8"), host names ("localhost", which stands for loopback too) and
// "*.suffix"; all but CIDRs may end in ":port". An entry that is none of these
// is an error that names it.
func New(allow []string, opts ...Option) (*Guard, error) {
	l, err := parseAllowList(allow)
	if err != nil {
		return nil, err
	}
	g := &Guard{allow: l, resolver: net.DefaultResolver}
	for _, o := range opts {
		o(g)
	}
	return g, nil
}

// CheckURL validates a URL that is being configured: http or https, a host, and
// not a name or literal address that would be refused. Names are not looked up:
// what they stand for is checked when they are dialled.
func (g *Guard) CheckURL(raw string) error {
	u, err := url.Parse(raw)
	if err != nil {
		return &RefusedError{Target: "the URL", Reason: "it cannot be parsed"}
	}
	return g.check(u)
}

// CheckHost is CheckURL and looks the name up: one that stands only for
// addresses that would be refused is refused. A name that cannot be looked up
// now is not: it may be another day.
func (g *Guard) CheckHost(ctx context.Context, raw string) error {
	u, err := url.Parse(raw)
	if err != nil {
		return &RefusedError{Target: "the URL", Reason: "it cannot be parsed"}
	}
	if err := g.check(u); err != nil {
		return err
	}
	host, port := u.Hostname(), portOf(u)
	if _, isNumber := parseHostAddr(host); isNumber || g.allow.host(host, port) {
		return nil
	}
	addrs, err := g.resolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil //nolint:nilerr // as said above
	}
	var refused *RefusedError
	for _, a := range addrs {
		if g.allow.addr(a, port) {
			return nil
		}
		why := refusal(a)
		if why == "" {
			return nil
		}
		// The address behind a name is nobody's business.
		refused = &RefusedError{Target: host, Reason: "it is the name of " + why}
	}
	if refused == nil {
		return nil
	}
	return refused
}

func (g *Guard) check(u *url.URL) error {
	if u.Scheme != "http" && u.Scheme != "https" {
		return &RefusedError{Target: "scheme " + strings.ToLower(u.Scheme), Reason: "only http and https are called"}
	}
	host := u.Hostname()
	if host == "" {
		return &RefusedError{Target: "the URL", Reason: "it has no host"}
	}
	port := portOf(u)
	if g.allow.host(host, port) {
		return nil
	}
	if a, isNumber := parseHostAddr(host); isNumber {
		if !a.IsValid() {
			return &RefusedError{Target: host, Reason: "not an address"}
		}
		return g.checkAddr(a, port)
	}
	name := strings.TrimSuffix(strings.ToLower(host), ".")
	if (name == "localhost" || strings.HasSuffix(name, ".localhost")) && !g.allow.anyLoopback(port) {
		return &RefusedError{Target: name, Reason: "a loopback name"}
	}
	return nil
}

func portOf(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "https":
		return "443"
	default:
		return "80"
	}
}

func (g *Guard) checkAddr(a netip.Addr, port string) error {
	if g.allow.addr(a, port) {
		return nil
	}
	if why := refusal(a); why != "" {
		return &RefusedError{Target: a.String(), Reason: why}
	}
	return nil
}

// Transport makes a guarded transport. It uses no proxy from the environment:
// a proxy would dial in our place, where nothing is checked.
func (g *Guard) Transport() *http.Transport {
	return &http.Transport{
		DialContext:           g.dial,
		ForceAttemptHTTP2:     true,
		MaxIdleConns:          256,
		MaxIdleConnsPerHost:   64,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   10 * time.Second,
		ExpectContinueTimeout: time.Second,
		// The default is 10 MiB, for each of the calls under way.
		MaxResponseHeaderBytes: maxResponseHeader,
	}
}

// dial connects to an allowed host name directly; for every other one the
// address that the dialer is about to connect to is checked.
func (g *Guard) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("dialling: %w", err)
	}
	d := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second, Resolver: g.resolver}
	if !g.allow.host(host, port) {
		d.Control = g.control
	}
	return d.DialContext(ctx, network, address)
}

// control runs on the resolved address, after DNS and before connect.
func (g *Guard) control(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return &RefusedError{Target: "the address", Reason: "it cannot be parsed"}
	}
	return g.checkAddr(ap.Addr(), fmt.Sprint(ap.Port()))
}

// Client makes a guarded client with a transport of its own. It has no overall
// timeout: requests end with their context.
func (g *Guard) Client() *http.Client {
	return &http.Client{Transport: &checkingTransport{guard: g, base: g.Transport()}, CheckRedirect: g.checkRedirect}
}

func (g *Guard) checkRedirect(req *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return fmt.Errorf("stopped after %d redirects", maxRedirects)
	}
	return g.check(req.URL)
}

// checkingTransport refuses a URL before it is dialled, so that an idle
// connection cannot serve it either, and with a better message.
type checkingTransport struct {
	guard *Guard
	base  *http.Transport
}

func (t *checkingTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := t.guard.check(req.URL); err != nil {
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return nil, err
	}
	return t.base.RoundTrip(req)
}

// CloseIdleConnections lets http.Client.CloseIdleConnections through.
func (t *checkingTransport) CloseIdleConnections() { t.base.CloseIdleConnections() }
