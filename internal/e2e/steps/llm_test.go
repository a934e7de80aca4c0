package steps

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// llm is an OpenAI-compatible server that answers as it is told.
type llm struct {
	*httptest.Server
	mu     sync.Mutex
	reply  func(r *http.Request, texts []string) (status int, text string)
	keys   []string      // the Idempotency-Key of each call
	talks  [][]string    // what each call was told: "user: hello"
	called chan struct{} // one value per call
}

func newLLM(t *testing.T, reply func(r *http.Request, texts []string) (int, string)) *llm {
	t.Helper()
	l := &llm{reply: reply, called: make(chan struct{}, 10000)}
	l.Server = httptest.NewServer(http.HandlerFunc(l.serve))
	t.Cleanup(func() {
		l.Server.CloseClientConnections()
		l.Server.Close()
	})
	return l
}

// agent is the instance's agent object.
func (l *llm) agent(extra object) object {
	a := object{"provider": "openai", "apiUrl": l.URL + "/v1", "apiKey": "sk-test", "model": "test"}
	maps.Copy(a, extra)
	return a
}

func (l *llm) serve(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Messages []struct {
			Role    string
			Content any
		}
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	var texts, talk []string
	for _, m := range in.Messages {
		talk = append(talk, fmt.Sprintf("%s: %v", m.Role, m.Content))
		if s, ok := m.Content.(string); ok && m.Role == "user" {
			texts = append(texts, s)
		}
	}
	l.mu.Lock()
	l.keys = append(l.keys, r.Header.Get("Idempotency-Key"))
	l.talks = append(l.talks, talk)
	reply := l.reply
	l.mu.Unlock()
	l.called <- struct{}{}
	status, text := reply(r, texts)
	w.Header().Set("Content-Type", "application/json")
	if status != http.StatusOK {
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(object{"error": object{"message": text, "type": "server_error"}})
		return
	}
	_ = json.NewEncoder(w).Encode(object{"id": "c", "object": "chat.completion", "created": 1, "model": "test",
		"choices": []object{{"index": 0, "finish_reason": "stop", "message": object{"role": "assistant", "content": text}}},
		"usage":   object{"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}})
}

func (l *llm) set(reply func(r *http.Request, texts []string) (int, string)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reply = reply
}

// calls returns the Idempotency-Key of each call so far.
func (l *llm) calls() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.keys...)
}

// told returns what each call so far was told.
func (l *llm) told() [][]string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([][]string(nil), l.talks...)
}

// says answers with the same text after a while.
func says(text string, after time.Duration) func(*http.Request, []string) (int, string) {
	return func(r *http.Request, _ []string) (int, string) {
		select {
		case <-time.After(after):
		case <-r.Context().Done():
		}
		return http.StatusOK, text
	}
}

// blockedUntil answers once the channel is closed.
func blockedUntil(release <-chan struct{}, text string) func(*http.Request, []string) (int, string) {
	return func(r *http.Request, _ []string) (int, string) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
		return http.StatusOK, text
	}
}
