package telegramtest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// webhook delivers updates, one after the other, each until it is taken.
type webhook struct {
	url       string
	secret    string
	cancel    context.CancelFunc
	done      chan struct{}
	client    *http.Client
	lastError string // under the server's lock
}

func (h *webhook) stop() {
	h.cancel()
	<-h.done
	h.client.CloseIdleConnections()
}

func (s *Server) setWebhook(r request) (any, *apiError) {
	target := r.params["url"]
	if target == "" {
		return s.deleteWebhook(r)
	}
	u, err := url.Parse(target)
	if err != nil || u.Host == "" {
		return nil, badRequest("bad webhook: URL host is empty")
	}
	ctx, cancel := context.WithCancel(context.Background())
	h := &webhook{url: target, secret: r.params["secret_token"], cancel: cancel, done: make(chan struct{}), client: &http.Client{Transport: &http.Transport{}}}
	s.mu.Lock()
	old := s.hook
	s.hook = h
	if list, ok := r.params["allowed_updates"]; ok {
		s.allowed = nil
		_ = json.Unmarshal([]byte(list), &s.allowed)
	}
	if r.params["drop_pending_updates"] == "true" {
		s.updates = nil
	}
	s.signal()
	s.mu.Unlock()
	if old != nil {
		old.stop()
	}
	go s.deliver(ctx, h)
	return true, nil
}

func (s *Server) deleteWebhook(r request) (any, *apiError) {
	s.mu.Lock()
	old := s.hook
	s.hook = nil
	if r.params["drop_pending_updates"] == "true" {
		s.updates = nil
	}
	s.mu.Unlock()
	if old != nil {
		old.stop()
	}
	return true, nil
}

func (s *Server) getWebhookInfo(request) (any, *apiError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	info := map[string]any{"url": "", "has_custom_certificate": false, "pending_update_count": len(s.updates)}
	if s.hook != nil {
		info["url"] = s.hook.url
		if s.hook.lastError != "" {
			info["last_error_message"] = s.hook.lastError
		}
	}
	return info, nil
}

// WebhookURL is the webhook that is set, "" if none.
func (s *Server) WebhookURL() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hook == nil {
		return ""
	}
	return s.hook.url
}

func (s *Server) deliver(ctx context.Context, h *webhook) {
	defer close(h.done)
	wait := 20 * time.Millisecond
	for {
		s.mu.Lock()
		changed := s.changed
		u, pending := s.pending()
		s.mu.Unlock()
		if !pending {
			select {
			case <-changed:
				continue
			case <-ctx.Done():
				return
			}
		}
		answer, err := h.post(ctx, u.raw)
		if err == nil {
			s.answered(answer)
		}
		if ctx.Err() != nil {
			return
		}
		s.delivered(h, u, err)
		if err == nil {
			wait = 20 * time.Millisecond
			continue
		}
		select {
		case <-time.After(wait):
			wait = min(2*wait, time.Second)
		case <-ctx.Done():
			return
		}
	}
}

// pending is the next update to deliver. The lock is held.
func (s *Server) pending() (update, bool) {
	switch {
	case len(s.again) > 0:
		return s.again[0], true
	case len(s.updates) > 0:
		return s.updates[0], true
	default:
		return update{}, false
	}
}

func (s *Server) delivered(h *webhook, u update, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.signal()
	if err != nil {
		h.lastError = err.Error()
		return
	}
	if len(s.again) > 0 && s.again[0].id == u.id {
		s.again = s.again[1:]
		return
	}
	if len(s.updates) > 0 && s.updates[0].id == u.id {
		s.updates = s.updates[1:]
		s.confirmed = max(s.confirmed, u.id)
	}
}

// answered carries out the call that a bot may make in its answer: of them all,
// this fake takes the one that bots make there.
func (s *Server) answered(body []byte) {
	req := request{ctx: context.Background(), params: map[string]string{}}
	if req.readJSON(bytes.NewReader(body)) != nil || req.params["method"] != "answerCallbackQuery" {
		return
	}
	_, refused := s.answerCallbackQuery(req)
	s.record(Call{At: time.Now(), Method: req.params["method"], Params: req.params, Accepted: refused == nil})
}

// post returns the bot's answer.
func (h *webhook) post(ctx context.Context, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	if h.secret != "" {
		req.Header.Set("X-Telegram-Bot-Api-Secret-Token", h.secret)
	}
	resp, err := h.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return nil, fmt.Errorf("wrong response from the webhook: %s", resp.Status)
	}
	return answer, nil
}
