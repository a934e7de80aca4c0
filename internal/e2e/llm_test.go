package e2e

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// llm is an OpenAI-compatible server that answers as it is told.
type llm struct {
	*httptest.Server
	mu     sync.Mutex
	reply  func(r *http.Request, texts []string) (status int, text string)
	calls  int
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
	var texts []string
	for _, m := range in.Messages {
		if s, ok := m.Content.(string); ok && m.Role == "user" {
			texts = append(texts, s)
		}
	}
	l.mu.Lock()
	l.calls++
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
