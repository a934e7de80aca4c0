package webchat

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/omnihub/omni/channels"
)

var (
	//go:embed page/page.html
	pageHTML string
	//go:embed page/page.css
	pageCSS string
	//go:embed page/page.js
	pageJS string

	// pageBody is the whole page but for the title.
	pageBody = strings.NewReplacer("/*CSS*/", pageCSS, "/*JS*/", pageJS).Replace(pageHTML)
	// The policy names style and script by hash: nothing else runs.
	styleHash, scriptHash = cspHash(pageCSS), cspHash(pageJS)
)

func cspHash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// Page serves the chat page at the root and its WebSocket at /ws.
func (Channel) Page(cfg channels.Config, deps channels.PageDeps) http.Handler {
	c, err := readConfig(cfg)
	if err != nil {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "this chat is not configured properly", http.StatusInternalServerError)
		})
	}
	p := &page{cfg: c, instanceID: cfg.InstanceID, deps: deps, origins: c.AllowedOrigins, addresses: newAddresses(c.NewChats)}
	if u, err := url.Parse(cfg.PublicURL); err == nil && u.Host != "" {
		// Behind a proxy the Host header may be another one than people see.
		p.origins = append([]string{u.Scheme + "://" + u.Host}, p.origins...)
	}
	return p
}

type page struct {
	cfg        config
	instanceID string
	origins    []string
	deps       channels.PageDeps
	crowd      crowd
	addresses  *addresses
}

// ServeHTTP routes below the stripped prefix.
func (p *page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "", "/":
		p.servePage(w, r)
	case "/ws":
		p.serveSocket(w, r)
	default:
		http.NotFound(w, r)
	}
}

func (p *page) servePage(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-cache")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Content-Security-Policy", p.policy())
	_, _ = w.Write([]byte(strings.ReplaceAll(pageBody, "{{title}}", html.EscapeString(p.cfg.Title))))
}

func (p *page) policy() string {
	return strings.Join([]string{
		"default-src 'none'",
		"style-src " + styleHash,
		"script-src " + scriptHash,
		"connect-src 'self'",
		"base-uri 'none'",
		"form-action 'none'",
		"frame-ancestors " + strings.Join(append([]string{"'self'"}, p.cfg.AllowedOrigins...), " "),
	}, "; ")
}

func (p *page) serveSocket(w http.ResponseWriter, r *http.Request) {
	if !p.crowd.enter() {
		w.Header().Set("Retry-After", "10")
		http.Error(w, "too many people have this page open", http.StatusServiceUnavailable)
		return
	}
	defer p.crowd.exit()
	leave, ok := p.addresses.enter(r.RemoteAddr, time.Now())
	if !ok {
		w.Header().Set("Retry-After", "10")
		http.Error(w, "too many connections come from this address", http.StatusTooManyRequests)
		return
	}
	defer leave()
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{OriginPatterns: p.origins})
	if err != nil {
		p.deps.Log.Debug("refusing a chat connection", "error", err)
		return // Accept has answered
	}
	// Frames are small; what is longer is no page of ours.
	ws.SetReadLimit(4 * maxText)
	c := newConnection(p, ws)
	c.address = r.RemoteAddr
	c.serve(r.Context())
}
