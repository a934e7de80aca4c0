package omni_test

import (
	"encoding/json"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/internal/omni"
)

// Each price of the table says where it was read and when.
func TestPricesHaveASource(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("agent_prices.json")
	require.NoError(t, err)
	var table struct {
		AsOf, Currency string
		Sources        map[string]struct{ URL, Read string }
		Models         map[string]struct {
			InputPerMillion, OutputPerMillion float64
			AtMostInput                       int
			Source                            string
		}
	}
	require.NoError(t, json.Unmarshal(raw, &table))
	_, err = time.Parse(time.DateOnly, table.AsOf)
	require.NoError(t, err)
	require.NotEmpty(t, table.Models)
	used := map[string]bool{}
	for name, p := range table.Models {
		require.Contains(t, table.Sources, p.Source, name)
		used[p.Source] = true
		require.Positive(t, p.InputPerMillion, name)
		require.Greater(t, p.OutputPerMillion, p.InputPerMillion, name)
		require.Equal(t, name, omni.PricedModel(name+"-20260101"), "an edition costs what its model does")
	}
	for name, s := range table.Sources {
		require.True(t, used[name], name)
		require.NotEmpty(t, s.URL)
		_, err := time.Parse(time.DateOnly, s.Read)
		require.NoError(t, err, name)
	}
}

// Where a longer call costs another price, none is said of it.
func TestPricesHoldForSomeLengths(t *testing.T) {
	t.Parallel()
	cfg := omni.AgentConfig{Provider: "anthropic", Model: "claude-haiku-5-5"}
	require.Equal(t, &omni.Cost{Amount: 0.01, Currency: "USD"}, omni.CostOf(cfg, omni.AgentUsage{InputTokens: 100_000}))
	require.Nil(t, omni.CostOf(cfg, omni.AgentUsage{InputTokens: 100_001}))
	cfg.Price = &omni.AgentPrice{InputPerMillion: 1, OutputPerMillion: 1}
	require.NotNil(t, omni.CostOf(cfg, omni.AgentUsage{InputTokens: 100_001}), "the operator knows better")
}
