package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// slowAgentTakes is how long the slow agent thinks.
const slowAgentTakes = 3 * time.Second

// slowAgent speaks OpenAI's chat completions and takes its time.
type slowAgent struct {
	server   *http.Server
	listener net.Listener
}

func startSlowAgent() (*slowAgent, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("starting the slow agent: %w", err)
	}
	a := &slowAgent{listener: listener}
	a.server = &http.Server{Handler: http.HandlerFunc(a.answer), ReadHeaderTimeout: time.Minute}
	go func() { _ = a.server.Serve(listener) }()
	return a, nil
}

// URL is the base URL, up to /v1.
func (a *slowAgent) URL() string { return "http://" + a.listener.Addr().String() + "/v1" }

func (a *slowAgent) close() { _ = a.server.Close() }

func (a *slowAgent) answer(w http.ResponseWriter, r *http.Request) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return
	}
	select {
	case <-time.After(slowAgentTakes):
	case <-r.Context().Done():
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{
		"id": "chatcmpl-1", "object": "chat.completion", "created": time.Now().Unix(), "model": "slow",
		"choices": []any{map[string]any{"index": 0, "finish_reason": "stop",
			"message": map[string]any{"role": "assistant", "content": replyText}}},
		"usage": map[string]any{"prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20},
	})
}

const (
	messageText = "Hello, could you tell me when my order will be delivered, please?"
	replyText   = "Your order left our warehouse this morning and will arrive tomorrow."
)
