package telegramtest

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Token is the token of the bot, unless a Server is made with another one.
const Token = "123456789:AAFakeFakeFakeFakeFakeFakeFakeFake1"

// Server is one bot's Bot API on a port of 127.0.0.1.
type Server struct {
	token string
	botID int64
	url   string
	http  *http.Server
	done  chan struct{}
	quit  chan struct{} // closed by Close

	mu         sync.Mutex
	changed    chan struct{} // closed and replaced whenever something happened
	chats      map[int64]*chat
	updates    []update // not confirmed, in order
	again      []update // confirmed before, to be handed over once more
	history    map[int64]update
	nextUpdate int64
	confirmed  int64 // the highest update confirmed
	allowed    []string
	pollers    int // grows with each getUpdates: the newest one wins
	hook       *webhook
	faults     map[string][]Fault
	calls      []Call
	violations []string
	files      map[string]*file
	presses    map[string]bool // callback queries: answered or not
	closed     bool
}

// New starts a Server with Token on a free port.
func New() (*Server, error) { return NewAt("127.0.0.1:0", Token) }

// NewAt starts a Server on an address, for a bot's token.
func NewAt(addr, token string) (*Server, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listening: %w", err)
	}
	id, _, _ := strings.Cut(token, ":")
	botID, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		_ = l.Close()
		return nil, fmt.Errorf("%q is not a bot token", token)
	}
	s := &Server{token: token, botID: botID, url: "http://" + l.Addr().String(), done: make(chan struct{}), quit: make(chan struct{}),
		changed: make(chan struct{}), chats: map[int64]*chat{}, history: map[int64]update{}, nextUpdate: 1000,
		faults: map[string][]Fault{}, files: map[string]*file{}, presses: map[string]bool{}}
	s.http = &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		defer close(s.done)
		_ = s.http.Serve(l)
	}()
	return s, nil
}

// URL is the apiBaseUrl.
func (s *Server) URL() string { return s.url }

// Token is the bot's token.
func (s *Server) Token() string { return s.token }

// BotID is the bot's user id.
func (s *Server) BotID() int64 { return s.botID }

// Username is the bot's user name, without @.
func (s *Server) Username() string { return "omni_test_bot" }

// Close stops the Server and waits for it.
func (s *Server) Close() {
	s.mu.Lock()
	if !s.closed {
		close(s.quit)
	}
	s.closed = true
	hook := s.hook
	s.hook = nil
	s.signal()
	s.mu.Unlock()
	if hook != nil {
		hook.stop()
	}
	_ = s.http.Close()
	<-s.done
}

// signal wakes who waits. The lock is held.
func (s *Server) signal() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// Wait blocks until ok is true. It is asked at once and whenever something happens.
func (s *Server) Wait(ctx context.Context, ok func() bool) error {
	for {
		s.mu.Lock()
		changed := s.changed
		s.mu.Unlock()
		if ok() {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("waiting for the bot (%d calls so far): %w", len(s.Calls("")), ctx.Err())
		}
	}
}

// ServeHTTP routes /bot<token>/<method>, /file/bot<token>/<path> and /control/….
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	switch {
	case strings.HasPrefix(path, "/control/"):
		s.serveControl(w, r)
	case strings.HasPrefix(path, "/file/bot"):
		s.serveFile(w, strings.TrimPrefix(path, "/file/bot"))
	case strings.HasPrefix(path, "/bot"):
		token, method, _ := strings.Cut(strings.TrimPrefix(path, "/bot"), "/")
		if token != s.token {
			status := http.StatusUnauthorized
			if !strings.Contains(token, ":") {
				status = http.StatusNotFound // not even the form of a token
			}
			writeError(w, &apiError{code: status, desc: http.StatusText(status)})
			return
		}
		s.serveMethod(w, r, method)
	default:
		http.NotFound(w, r)
	}
}

// apiError is a refusal as Telegram words it.
type apiError struct {
	code       int
	desc       string
	retryAfter int
	migrateTo  int64
}

func badRequest(format string, args ...any) *apiError {
	return &apiError{code: http.StatusBadRequest, desc: "Bad Request: " + fmt.Sprintf(format, args...)}
}

func writeError(w http.ResponseWriter, e *apiError) {
	body := map[string]any{"ok": false, "error_code": e.code, "description": e.desc}
	params := map[string]any{}
	if e.retryAfter > 0 {
		params["retry_after"] = e.retryAfter
	}
	if e.migrateTo != 0 {
		params["migrate_to_chat_id"] = e.migrateTo
	}
	if len(params) > 0 {
		body["parameters"] = params
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(e.code)
	_ = json.NewEncoder(w).Encode(body)
}

func writeResult(w http.ResponseWriter, result any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"ok": true, "result": result})
}
