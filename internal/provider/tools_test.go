package provider_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/provider"
)

// Functions are declared where they are configured and only there, whole and
// in streams, and what a model calls comes back as actions.
func TestModelsCallFunctions(t *testing.T) {
	t.Parallel()
	const openAIStream = `data: {"id":"x","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"role":"assistant","tool_calls":[{"index":0,"id":"c","type":"function","function":{"name":"handoff","arguments":""}}]}}]}

data: {"id":"x","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"reason\":\"angry\","}}]}}]}

data: {"id":"x","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"\"text\":\"One moment.\"}"}}]},"finish_reason":"tool_calls"}]}

data: [DONE]

`
	const anthropicStream = `event: message_start
data: {"type":"message_start","message":{"id":"m","type":"message","role":"assistant","model":"m","content":[],"usage":{"input_tokens":7,"output_tokens":1}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"c","name":"handoff","input":{}}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"reason\":\"angry\","}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"\"text\":\"One moment.\"}"}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":3}}

event: message_stop
data: {"type":"message_stop"}

`
	for name, tc := range map[string]struct {
		provider, contentType, answer string
		streaming                     bool
	}{
		"openai": {"openai", "application/json", `{"id":"x","object":"chat.completion","model":"m","choices":[{"index":0,"finish_reason":"tool_calls",
			"message":{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"handoff","arguments":"{\"reason\":\"angry\",\"text\":\"One moment.\"}"}}]}}]}`, false},
		"openai stream": {"openai", "text/event-stream", openAIStream, true},
		"anthropic": {"anthropic", "application/json", `{"id":"m","type":"message","role":"assistant","model":"m","stop_reason":"tool_use",
			"content":[{"type":"tool_use","id":"c","name":"handoff","input":{"reason":"angry","text":"One moment."}}],"usage":{"input_tokens":7,"output_tokens":3}}`, false},
		"anthropic stream": {"anthropic", "text/event-stream", anthropicStream, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			declared := make(chan bool, 2)
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				raw, _ := io.ReadAll(r.Body)
				var body map[string]json.RawMessage
				_ = json.Unmarshal(raw, &body)
				_, ok := body["tools"]
				declared <- ok
				w.Header().Set("Content-Type", tc.contentType)
				_, _ = io.WriteString(w, tc.answer)
			}))
			client := &http.Client{Transport: &http.Transport{}}
			t.Cleanup(func() { client.CloseIdleConnections(); server.Close() })
			b := &bundle{url: server.URL, http: client}
			req := b.request()
			req.Config.Provider, req.Config.Streaming = tc.provider, tc.streaming
			req.Config.Actions = []omni.AgentActionType{omni.ActionHandoff}
			got, err := provider.New(provider.Deps{HTTP: client}).Reply(t.Context(), req)
			require.NoError(t, err)
			require.True(t, <-declared)
			require.Equal(t, "One moment.", got.Text)
			require.Equal(t, []omni.AgentAction{{Type: omni.ActionHandoff, Reason: "angry"}}, got.Actions)

			req.Config.Actions = nil
			got, err = provider.New(provider.Deps{HTTP: client}).Reply(t.Context(), req)
			require.NoError(t, err)
			require.False(t, <-declared, "a request is as it was where nothing is configured")
			require.Equal(t, "unknown action", got.Actions[0].Problem)
		})
	}
}
