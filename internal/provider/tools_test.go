package provider_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels/message"
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

// Messages with buttons and files are functions, too, with a schema that says
// what they need.
func TestModelsSendButtonsAndFiles(t *testing.T) {
	t.Parallel()
	allowed := []omni.AgentActionType{omni.ActionButtons, omni.ActionMedia}
	for _, p := range []protocol{openAIProtocol(false), anthropicProtocol(false)} {
		var body string
		buttons, media := `{"text":"Which?","buttons":["Tea","Coffee"]}`, `{"url":"https://e.com/p.png","mediaType":"image","text":"Look"}`
		if p.name == "openai" {
			body = `{"choices":[{"finish_reason":"tool_calls","message":{"content":"Well.","tool_calls":[{"id":"1","type":"function","function":{"name":"buttons","arguments":` +
				quote(buttons) + `}},{"id":"2","type":"function","function":{"name":"media","arguments":` + quote(media) + `}}]}}]}`
		} else {
			body = `{"type":"message","role":"assistant","stop_reason":"tool_use","content":[{"type":"text","text":"Well."},
				{"type":"tool_use","id":"1","name":"buttons","input":` + buttons + `},{"type":"tool_use","id":"2","name":"media","input":` + media + `}]}`
		}
		s := p.serve(t, answers(200, "application/json", body))
		req := p.request(s.URL)
		req.Config.Actions = allowed
		got, err := p.ask(t.Context(), req)
		require.NoError(t, err)
		require.Equal(t, "Well.", got.Text, "the texts of messages are their own")
		require.Equal(t, []omni.AgentAction{
			{Type: omni.ActionButtons, Part: &message.Content{Type: message.TypeButtons, Text: "Which?",
				Buttons: []message.Button{{ID: "1", Text: "Tea"}, {ID: "2", Text: "Coffee"}}}},
			{Type: omni.ActionMedia, Part: &message.Content{Type: message.TypeImage, Text: "Look",
				Media: []message.Media{{Type: message.TypeImage, URL: "https://e.com/p.png"}}}}}, got.Actions)
		for _, schema := range []string{`"buttons"`, `"maxItems":20`, `"mediaType"`, `"required":["text","buttons"]`, `"required":["url","mediaType"]`} {
			require.Contains(t, string(s.bodies[0]), schema, p.name)
		}
	}
}

// Services that know no functions answer with actions in what they do know.
func TestAgnoActions(t *testing.T) {
	t.Parallel()
	const content = `{"text":"One moment.","actions":[{"type":"handoff","reason":"angry"}]}`
	for name, body := range map[string]string{"": `{"run_id":"r","status":"COMPLETED","content":` + content + `,"metrics":{"input_tokens":5,"output_tokens":7}}`,
		"stream": event("RunStarted", `{"event":"RunStarted"}`) + event("RunContent", `{"event":"RunContent","content":`+content+`}`) +
			event("RunCompleted", `{"event":"RunCompleted","metrics":{"input_tokens":5,"output_tokens":7}}`)} {
		p := agnoProtocol(name == "stream")
		s := p.serve(t, answers(200, p.contentType(), body))
		req := p.request(s.URL)
		heard := ""
		req.OnDelta = func(text string) { heard += text }
		got, err := p.ask(t.Context(), req)
		require.NoError(t, err, name)
		require.Equal(t, "One moment.", got.Text)
		require.Equal(t, []omni.AgentAction{{Type: omni.ActionHandoff, Reason: "angry"}}, got.Actions)
		require.Equal(t, omni.AgentUsage{InputTokens: 5, OutputTokens: 7}, got.Usage)
		require.Empty(t, heard, "JSON is nothing to show")
	}
	p := agnoProtocol(false)
	s := p.serve(t, answers(200, "application/json", `{"status":"COMPLETED","content":{"title":"x"}}`))
	got, err := p.ask(t.Context(), p.request(s.URL))
	require.NoError(t, err)
	require.JSONEq(t, `{"title":"x"}`, got.Text, "an object of its own kind is shown as it is")
	e, _ := p.fails(t, answers(200, "application/json", `{"status":"COMPLETED","content":{"text":" ","actions":[]}}`))
	require.Equal(t, omni.AgentEmpty, e.Kind)
}
