package omni_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
)

func TestGateRules(t *testing.T) {
	t.Parallel()
	g := &omni.GateConfig{Mode: omni.GateByRule, Rules: []omni.GateRule{{Match: "*help*", Answer: true}, {Match: "lol*"}, {Match: "ok"}}}
	batch := func(texts ...string) (b []omni.TurnMessage) {
		for _, s := range texts {
			b = append(b, omni.TurnMessage{Text: s})
		}
		return b
	}
	for name, tc := range map[string]struct {
		batch []omni.TurnMessage
		want  bool
	}{
		"answered":           {batch("Please HELP me"), true},
		"not answered":       {batch("LOL nice"), false},
		"the whole text":     {batch("ok then"), true},
		"exactly":            {batch(" OK "), false},
		"one is enough":      {batch("lol", "help"), true},
		"none is":            {batch("lol", "ok"), false},
		"no rule is an open": {batch("what?"), true},
		"one without a rule": {batch("lol", "what?"), true},
		"no text":            {batch(""), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tc.want, g.Decide(tc.batch).Answer)
		})
	}
	require.True(t, g.Asks(message.ChatGroup))
	require.False(t, g.Asks(message.ChatDM))
	require.True(t, (&omni.GateConfig{Mode: omni.GateByModel, DMs: true}).Asks(message.ChatDM))
	require.False(t, (&omni.GateConfig{Mode: omni.GateOff, DMs: true}).Asks(message.ChatDM))
	var none *omni.GateConfig
	require.False(t, none.Asks(message.ChatGroup))
}

func TestReadVerdict(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][2]bool{"YES": {true, true}, "no.": {false, true}, "**Yes**, because": {true, true},
		"": {false, false}, "maybe": {false, false}, "nobody knows": {false, false}, "123": {false, false}} {
		answer, ok := omni.ReadVerdict(text)
		require.Equal(t, want, [2]bool{answer, ok}, text)
	}
}

func TestCosts(t *testing.T) {
	t.Parallel()
	used := omni.AgentUsage{InputTokens: 1_000_000, OutputTokens: 100_000}
	cfg := omni.AgentConfig{Provider: "openai", Model: "gpt-4o-mini-2024-07-18"}
	require.Equal(t, &omni.Cost{Amount: 0.21, Currency: "USD"}, omni.CostOf(cfg, used))
	require.Nil(t, omni.CostOf(omni.AgentConfig{Provider: "openai", Model: "llama-3"}, used), "no cost rather than a wrong one")
	require.Nil(t, omni.CostOf(omni.AgentConfig{Provider: "webhook", Model: "gpt-4o"}, used))
	require.Nil(t, omni.CostOf(cfg, omni.AgentUsage{}))
	cfg.Price = &omni.AgentPrice{InputPerMillion: 1, OutputPerMillion: 2, Currency: "EUR"}
	require.Equal(t, &omni.Cost{Amount: 1.2, Currency: "EUR"}, omni.CostOf(cfg, used))
	require.Equal(t, "gpt-4o-mini", omni.PricedModel(cfg.Model))
	require.Equal(t, "other", omni.PricedModel("whatever a server says"))
	eur, usd := &omni.Cost{Amount: 1, Currency: "EUR"}, &omni.Cost{Amount: 1, Currency: "USD"}
	require.Nil(t, eur.Plus(usd))
	require.Equal(t, &omni.Cost{Amount: 2, Currency: "EUR"}, eur.Plus(eur))
	require.Same(t, eur, eur.Plus(nil))
}

func TestHealthOf(t *testing.T) {
	t.Parallel()
	require.Equal(t, "unknown", omni.HealthOf(nil).Status)
	h := omni.HealthOf([]omni.AgentCall{{Error: "cut: it broke off"}, {Took: 5e6}, {Took: 9e6}, {Error: "transient: away"}})
	require.Equal(t, "failing", h.Status)
	require.Equal(t, "cut", h.LastOutcome)
	require.Equal(t, 1, h.ConsecutiveFailures)
	require.Equal(t, 4, h.Calls)
	require.Equal(t, int64(5), h.P50Ms)
	require.Equal(t, int64(9), h.P95Ms)
	h = omni.HealthOf([]omni.AgentCall{{Took: 5e6}, {Error: "transient: away"}})
	require.Equal(t, "ok", h.Status)
	require.Equal(t, "transient: away", h.LastError)
	require.Zero(t, h.ConsecutiveFailures)
}
