package omni_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/internal/omni"
)

func TestParseActions(t *testing.T) {
	t.Parallel()
	id := uuid.MustParse("01890000-0000-7000-8000-000000000001")
	for name, tc := range map[string]struct {
		raw  string
		want []omni.AgentAction
	}{
		"none":           {``, nil},
		"null":           {`null`, nil},
		"empty":          {`[]`, []omni.AgentAction{}},
		"react":          {`[{"type":"react","emoji":"👍"}]`, []omni.AgentAction{{Type: omni.ActionReact, Emoji: "👍"}}},
		"react on one":   {`[{"type":"react","emoji":"👍","messageId":"` + id.String() + `"}]`, []omni.AgentAction{{Type: omni.ActionReact, Emoji: "👍", MessageID: &id}}},
		"no reply":       {`[{"type":"no_reply"}]`, []omni.AgentAction{{Type: omni.ActionNoReply}}},
		"handoff":        {`[{"type":"handoff","reason":" asks for\u0000 a refund ","untilSeconds":3600}]`, []omni.AgentAction{{Type: omni.ActionHandoff, Reason: "asks for a refund", UntilSeconds: 3600}}},
		"close":          {`[{"type":"close"}]`, []omni.AgentAction{{Type: omni.ActionClose}}},
		"unknown":        {`[{"type":"dance"},{"type":"close"}]`, []omni.AgentAction{{Type: "dance", Problem: "unknown action"}, {Type: omni.ActionClose}}},
		"no list":        {`{"type":"close"}`, []omni.AgentAction{{Type: "unknown", Problem: "actions is not a list"}}},
		"no object":      {`["close"]`, []omni.AgentAction{{Type: "unknown", Problem: "is not an object with a type"}}},
		"null in a list": {`[null]`, []omni.AgentAction{{Type: "unknown", Problem: "is not an object with a type"}}},
		"no emoji":       {`[{"type":"react"}]`, []omni.AgentAction{{Type: omni.ActionReact, Problem: "emoji must be one emoji, or a platform's name of one"}}},
		"emoji of words": {`[{"type":"react","emoji":"so nice"}]`, []omni.AgentAction{{Type: omni.ActionReact, Problem: "emoji must be one emoji, or a platform's name of one"}}},
		"bad message":    {`[{"type":"react","emoji":"👍","messageId":"7"}]`, []omni.AgentAction{{Type: omni.ActionReact, Emoji: "👍", Problem: "messageId is not the id of a message"}}},
		"for ever":       {`[{"type":"handoff","untilSeconds":1e30}]`, []omni.AgentAction{{Type: omni.ActionHandoff, Problem: "untilSeconds must be a whole number between 0 and 31536000"}}},
		"back in time":   {`[{"type":"handoff","untilSeconds":-1}]`, []omni.AgentAction{{Type: omni.ActionHandoff, Problem: "untilSeconds must be a whole number between 0 and 31536000"}}},
		"twice":          {`[{"type":"close"},{"type":"close"}]`, []omni.AgentAction{{Type: omni.ActionClose}, {Type: omni.ActionClose, Problem: "was asked for before in the same answer"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tc.want, omni.ParseActions(json.RawMessage(tc.raw)))
		})
	}
}

func TestActionsAreBounded(t *testing.T) {
	t.Parallel()
	many := omni.ParseActions(json.RawMessage("[" + strings.Repeat(`{"type":"react","emoji":"👍"},`, 1000) + `{"type":"close"}]`))
	require.Len(t, many, 21)
	carried := 0
	for _, a := range many {
		if a.Problem == "" {
			carried++
		}
	}
	require.Equal(t, 5, carried)
	require.True(t, omni.HasAction(many, omni.ActionReact))
	require.False(t, omni.HasAction(many, omni.ActionClose), "it came behind what is read")
}

func TestToolAction(t *testing.T) {
	t.Parallel()
	allowed := []omni.AgentActionType{omni.ActionHandoff, omni.ActionReact}
	tools := omni.ActionTools(allowed)
	require.Len(t, tools, 2)
	require.Equal(t, "react", tools[0].Name)
	require.Equal(t, "handoff", tools[1].Name)
	require.Empty(t, omni.ActionTools(nil))

	a, text := omni.ToolAction(allowed, "handoff", `{"reason":"angry","untilSeconds":60,"text":"One moment."}`)
	require.Equal(t, omni.AgentAction{Type: omni.ActionHandoff, Reason: "angry", UntilSeconds: 60}, a)
	require.Equal(t, "One moment.", text)
	a, text = omni.ToolAction(allowed, "react", `{"emoji":"👍","type":"close"}`)
	require.Equal(t, omni.AgentAction{Type: omni.ActionReact, Emoji: "👍"}, a, "the function called decides")
	require.Empty(t, text)
	for _, arguments := range []string{"null", "[]", "{", `"x"`} {
		a, _ = omni.ToolAction(allowed, "handoff", arguments)
		require.Equal(t, "is not an object with a type", a.Problem, arguments)
	}
	a, _ = omni.ToolAction(allowed, "close", "{}")
	require.Equal(t, "unknown action", a.Problem, "it was not declared")
}

// Whatever an agent answers with, what is made of it can be stored, and what is
// carried out is whole.
func FuzzParseActions(f *testing.F) {
	for _, s := range []string{`[{"type":"react","emoji":"👍"}]`, `[{"type":"handoff","reason":"\u0000","untilSeconds":9}]`, `[[`, `{}`, `[{"type":"` + "\xff" + `"}]`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		actions := omni.ParseActions(json.RawMessage(raw))
		if len(actions) > 21 {
			t.Fatalf("%d actions", len(actions))
		}
		for _, a := range actions {
			for _, s := range []string{string(a.Type), a.Emoji, a.Reason, a.Problem} {
				if !utf8.ValidString(s) || strings.ContainsRune(s, 0) || len(s) > 2000 {
					t.Fatalf("%q cannot be stored", s)
				}
			}
			if a.Problem == "" && (a.Type == omni.ActionReact && a.Emoji == "" || a.UntilSeconds < 0) {
				t.Fatalf("not whole: %+v", a)
			}
		}
		again, err := json.Marshal(actions)
		if err != nil {
			t.Fatal(err)
		}
		var back []omni.AgentAction
		if err := json.Unmarshal(again, &back); err != nil {
			t.Fatal(err)
		}
	})
}
