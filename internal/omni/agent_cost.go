package omni

import (
	_ "embed"
	"encoding/json"
	"math"
	"regexp"
	"sync"
)

// AgentPrice is what a model costs, by a million tokens.
type AgentPrice struct {
	InputPerMillion  float64 `json:"inputPerMillion" minimum:"0"`
	OutputPerMillion float64 `json:"outputPerMillion" minimum:"0"`
	Currency         string  `json:"currency,omitempty" doc:"three letters; USD where it is left out" example:"USD"`
}

// Cost is an amount of money.
type Cost struct {
	Amount   float64 `json:"amount"`
	Currency string  `json:"currency"`
}

// defaultCurrency of prices that name none.
const defaultCurrency = "USD"

// The price table. It is data with a date and its sources: prices change, and
// whoever needs others sets agent.price.
//
//go:embed agent_prices.json
var agentPrices []byte

// listedPrice is a price of the table.
type listedPrice struct {
	AgentPrice
	AtMostInput int `json:"atMostInput"` // tokens; longer calls cost another price. 0: it is the same for all
}

var priceTable = sync.OnceValue(func() map[string]listedPrice {
	var table struct {
		Currency string                 `json:"currency"`
		Models   map[string]listedPrice `json:"models"`
	}
	if err := json.Unmarshal(agentPrices, &table); err != nil {
		panic("reading the price table: " + err.Error()) // a test reads it, too
	}
	for name, p := range table.Models {
		p.Currency = table.Currency
		table.Models[name] = p
	}
	return table.Models
})

// edition is what vendors put behind the name of a model: a day, or latest.
var edition = regexp.MustCompile(`-(\d{4}-\d{2}-\d{2}|\d{8}|latest)$`)

// PriceOf is what a call of an agent's model costs: what its configuration
// says, else the table. ok is false where nobody knows: no cost is better than
// a wrong one.
func PriceOf(c AgentConfig, u AgentUsage) (p AgentPrice, ok bool) {
	if c.Price != nil {
		if p = *c.Price; p.Currency == "" {
			p.Currency = defaultCurrency
		}
		return p, true
	}
	listed, ok := priceTable()[edition.ReplaceAllString(c.Model, "")]
	switch {
	case !ok, c.Provider != "openai" && c.Provider != "anthropic":
		return AgentPrice{}, false
	case listed.AtMostInput > 0 && u.InputTokens > listed.AtMostInput:
		return AgentPrice{}, false
	}
	return listed.AgentPrice, true
}

// PricedModel is the model's name where the price table has it, else "other":
// a label of few values.
func PricedModel(model string) string {
	name := edition.ReplaceAllString(model, "")
	if _, ok := priceTable()[name]; ok {
		return name
	}
	return "other"
}

// CostOf is what a call cost; nil where it is not known.
func CostOf(c AgentConfig, u AgentUsage) *Cost {
	p, ok := PriceOf(c, u)
	if !ok || u == (AgentUsage{}) {
		return nil
	}
	const million, places = 1e6, 1e9
	amount := (float64(u.InputTokens)*p.InputPerMillion + float64(u.OutputTokens)*p.OutputPerMillion) / million
	return &Cost{Amount: math.Round(amount*places) / places, Currency: p.Currency}
}

// Plus adds what something else cost. Two currencies do not add up: nil.
func (c *Cost) Plus(more *Cost) *Cost {
	switch {
	case more == nil:
		return c
	case c == nil:
		return more
	case c.Currency != more.Currency:
		return nil
	}
	return &Cost{Amount: c.Amount + more.Amount, Currency: c.Currency}
}
