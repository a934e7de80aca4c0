package agent_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/activities"
	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
)

// judged is a model that is a gate, too: under that name it says its verdict.
func judged(verdict http.HandlerFunc, calls *[]string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		var body struct{ Model string }
		_ = json.Unmarshal(raw, &body)
		*calls = append(*calls, body.Model)
		if body.Model == "small" {
			verdict(w, r)
			return
		}
		used(w, "An answer.")
	}
}

// used is an answer that says what it took.
func used(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"model": "m1", "usage": map[string]any{"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110},
		"choices": []any{map[string]any{"finish_reason": "stop", "message": map[string]any{"role": "assistant", "content": text}}}})
}

func TestTheGateDecides(t *testing.T) {
	t.Parallel()
	group := message.Chat{ID: "g1", Type: message.ChatGroup}
	for name, tc := range map[string]struct {
		chat    message.Chat
		verdict http.HandlerFunc
		calls   []string
		parts   int
		failed  string
	}{
		"yes":         {group, func(w http.ResponseWriter, _ *http.Request) { used(w, "YES") }, []string{"small", "big"}, 1, ""},
		"no":          {group, func(w http.ResponseWriter, _ *http.Request) { used(w, "No.") }, []string{"small"}, 0, ""},
		"broken":      {group, fails(500), []string{"small", "big"}, 1, "transient (500)"},
		"nonsense":    {group, func(w http.ResponseWriter, _ *http.Request) { used(w, "perhaps") }, []string{"small", "big"}, 1, "neither yes nor no"},
		"not in a dm": {message.Chat{ID: "d1", Type: message.ChatDM}, fails(500), []string{"big"}, 1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var calls []string
			w := newWorld(t, nil)
			server := w.serverOf(judged(tc.verdict, &calls))
			a := w.inst.Settings.Agent
			a.Model, a.APIURL = "big", server+"/v1"
			a.Price = &omni.AgentPrice{InputPerMillion: 1, OutputPerMillion: 1}
			a.Gate = &omni.GateConfig{Mode: omni.GateByModel, Model: "small", Prompt: "Only questions."}
			turn := w.say(tc.chat, "ana", "is anybody there?")
			out, err := w.reply(turn)
			require.NoError(t, err)
			require.Equal(t, activities.StateClosed, out.State)
			require.Equal(t, tc.parts, out.Parts)
			require.Equal(t, tc.calls, calls)
			said := w.events(turn, omni.EventAgentResponse)[0]
			if tc.chat.Type == message.ChatDM {
				require.NotContains(t, said, "gate")
				return
			}
			gate, _ := said["gate"].(map[string]any)
			require.Equal(t, tc.parts > 0, gate["answer"])
			require.Contains(t, stringOf(gate["failed"]), tc.failed)
			if tc.parts > 0 {
				require.Equal(t, map[string]any{"inputTokens": 100.0, "outputTokens": 10.0}, said["usage"])
				require.Contains(t, said, "cost")
			}
			again, err := w.reply(turn)
			require.NoError(t, err)
			require.Equal(t, out.Parts, again.Parts)
			require.Equal(t, tc.calls, calls, "nobody is asked twice")
		})
	}
}

func stringOf(v any) string { s, _ := v.(string); return s }

func TestActionsAndUsageAreSaid(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.caps.React = true
	type spent struct {
		model string
		used  omni.AgentUsage
		cost  *omni.Cost
	}
	var counted []spent
	w.Spent = func(_ context.Context, _, model string, used omni.AgentUsage, cost *omni.Cost) {
		counted = append(counted, spent{model, used, cost})
	}
	server := w.serverOf(func(rw http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		if !strings.Contains(string(raw), `"tools"`) {
			http.Error(rw, "no tools", http.StatusBadRequest)
			return
		}
		rw.Header().Set("Content-Type", "application/json")
		call := func(name, arguments string) map[string]any {
			return map[string]any{"id": name, "type": "function", "function": map[string]any{"name": name, "arguments": arguments}}
		}
		_ = json.NewEncoder(rw).Encode(map[string]any{"model": "gpt-4o-mini-2024-07-18", "usage": map[string]any{"prompt_tokens": 1000000, "completion_tokens": 0, "total_tokens": 1000000},
			"choices": []any{map[string]any{"finish_reason": "tool_calls", "message": map[string]any{"role": "assistant", "content": nil,
				"tool_calls": []any{call("react", `{"emoji":"👍"}`), call("handoff", `{"reason":"angry","text":"One moment."}`), call("dance", `{}`)}}}}})
	})
	a := w.inst.Settings.Agent
	a.Model, a.APIURL, a.Actions = "gpt-4o-mini", server+"/v1", []omni.AgentActionType{omni.ActionReact, omni.ActionHandoff}
	turn := w.say(message.Chat{ID: "d1", Type: message.ChatDM}, "ana", "I want a person")
	out, err := w.reply(turn)
	require.NoError(t, err)
	require.Equal(t, 2, out.Parts, "the reaction, and what is said beside the handoff")
	said := w.events(turn, omni.EventAgentResponse)[0]
	require.Len(t, said["actions"], 3)
	require.Equal(t, map[string]any{"type": "dance", "problem": "unknown action"}, said["actions"].([]any)[2])
	require.Equal(t, map[string]any{"amount": 0.15, "currency": "USD"}, said["cost"])
	require.Equal(t, "openai", said["provider"])
	require.Len(t, counted, 1)
	require.Equal(t, 1000000, counted[0].used.InputTokens)
	require.Equal(t, "gpt-4o-mini", counted[0].model)
}
