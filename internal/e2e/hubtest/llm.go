package hubtest

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
)

// Answer is what an LLM answers when it is told the people's texts: a 200 with
// the text, or an error that says it.
type Answer func(r *http.Request, texts []string) (status int, text string)

// LLM is an OpenAI-compatible server that answers as it is told.
type LLM struct {
	*httptest.Server
	Called chan struct{} // one value per call

	mu     sync.Mutex
	answer Answer
	keys   []string
	told   [][]string
}

// NewLLM starts a server that lives as long as the test.
func NewLLM(t testing.TB, answer Answer) *LLM {
	t.Helper()
	l := &LLM{answer: answer, Called: make(chan struct{}, 10000)}
	l.Server = httptest.NewServer(http.HandlerFunc(l.serve))
	t.Cleanup(func() {
		l.CloseClientConnections()
		l.Close()
	})
	return l
}

// Agent is the agent object of an instance that asks this server.
func (l *LLM) Agent(extra map[string]any) map[string]any { return AgentAt(l.URL, extra) }

// AgentAt is the agent object of an instance that asks an OpenAI-compatible
// server.
func AgentAt(url string, extra map[string]any) map[string]any {
	a := map[string]any{"provider": "openai", "apiUrl": url + "/v1", "apiKey": "sk-test", "model": "test"}
	maps.Copy(a, extra)
	return a
}

// Set changes what is answered from now on.
func (l *LLM) Set(answer Answer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answer = answer
}

// Keys returns the Idempotency-Key of each call so far.
func (l *LLM) Keys() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.keys)
}

// Told returns what each call so far was told: "user: hello".
func (l *LLM) Told() [][]string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.told)
}

func (l *LLM) serve(w http.ResponseWriter, r *http.Request) {
	told, texts, err := ReadChat(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	l.mu.Lock()
	l.keys = append(l.keys, r.Header.Get("Idempotency-Key"))
	l.told = append(l.told, told)
	answer := l.answer
	l.mu.Unlock()
	l.Called <- struct{}{}
	status, text := answer(r, texts)
	if status == http.StatusOK {
		WriteCompletion(w, text)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]any{"message": text, "type": "server_error"}})
}

// ReadChat reads a request for a completion: all that was said, as "user:
// hello", and of it the texts of people.
func ReadChat(body io.Reader) (told, texts []string, err error) {
	var in struct {
		Messages []struct {
			Role    string
			Content any
		}
	}
	if err := json.NewDecoder(body).Decode(&in); err != nil {
		return nil, nil, err
	}
	for _, m := range in.Messages {
		told = append(told, fmt.Sprintf("%s: %v", m.Role, m.Content))
		if s, ok := m.Content.(string); ok && m.Role == "user" {
			texts = append(texts, s)
		}
	}
	return told, texts, nil
}

// WriteCompletion answers a request for a completion.
func WriteCompletion(w http.ResponseWriter, text string) {
	type object = map[string]any
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(object{"id": "c", "object": "chat.completion", "created": 1, "model": "test",
		"choices": []object{{"index": 0, "finish_reason": "stop", "message": object{"role": "assistant", "content": text}}},
		"usage":   object{"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}})
}
