package control

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/internal/omni"
)

// secretMove is a stored secret in a change of where it is sent. Who may change
// a configuration may not read its secrets: sent to a server of their own, they
// would. A key with scope admin may do everything in its tenant, this too: a
// server moves more often than its key changes.
type secretMove struct {
	secret      string // path of the secret's field: agent.apiKey
	destination string // path of the field that says where it goes: agent.apiUrl
	stored      bool   // there is one from before
	given       bool   // the change says what it is from now on, be it none
	from, to    string // where it is sent, before and after
}

// move refuses to send a secret elsewhere that whoever asks has not given.
func (c *checks) move(m secretMove) {
	if m.stored && !m.given && m.from != m.to {
		c.add(m.secret, "must be given again, or cleared: the change of "+m.destination+" would send it somewhere else")
	}
}

// agentDestination is where the key of an agent goes: what service, and which
// server of it.
func agentDestination(a *omni.AgentConfig) string {
	if a == nil {
		return ""
	}
	return a.Provider + " " + strings.TrimRight(a.APIURL, "/")
}

// checkSecretMoves holds the change of an instance against its stored secrets.
// given is what the request says, without masks.
func checkSecretMoves(who *omni.APIKey, before, after *omni.Instance, given map[string]any) error {
	if who.Allows(omni.ScopeAdmin) {
		return nil
	}
	var c checks
	agent, replaced := given["agent"].(map[string]any)
	_, gaveKey := agent["apiKey"]
	if after.Settings.Agent != nil {
		c.move(secretMove{secret: "agent.apiKey", destination: "agent.apiUrl or agent.provider", stored: before.AgentAPIKey != "",
			given: replaced && gaveKey, from: agentDestination(before.Settings.Agent), to: agentDestination(after.Settings.Agent)})
	}
	if err := c.channelSecrets(before, after, given); err != nil {
		return err
	}
	return c.err()
}

func (c *checks) channelSecrets(before, after *omni.Instance, given map[string]any) error {
	ch, ok := channels.Lookup(after.Channel)
	if !ok {
		return nil
	}
	was, err := configOf(before)
	if err != nil {
		return err
	}
	is, err := configOf(after)
	if err != nil {
		return err
	}
	config, _ := given["channelConfig"].(map[string]any)
	for _, where := range ch.Info().Config {
		if !where.Destination {
			continue
		}
		for _, secret := range ch.Info().Config {
			_, stored := was[secret.Name]
			_, stays := is[secret.Name]
			_, gave := config[secret.Name]
			if secret.Secret && stays {
				c.move(secretMove{secret: "channelConfig." + secret.Name, destination: "channelConfig." + where.Name, stored: stored, given: gave,
					from: was[where.Name], to: is[where.Name]})
			}
		}
	}
	return nil
}

// configOf are the fields of a channelConfig that are set, as JSON.
func configOf(in *omni.Instance) (map[string]string, error) {
	fields := map[string]json.RawMessage{}
	if len(in.ChannelConfig) > 0 {
		if err := json.Unmarshal(in.ChannelConfig, &fields); err != nil {
			return nil, fmt.Errorf("reading channelConfig: %w", err)
		}
	}
	out := map[string]string{}
	for name, v := range fields {
		if s := string(v); s != `""` && s != "null" {
			out[name] = s
		}
	}
	return out, nil
}

// outgoing refuses a URL that this hub may not call.
func (c *checks) outgoing(field, rawURL string, check func(rawURL string) error) {
	if rawURL == "" || check == nil {
		return
	}
	if err := check(rawURL); err != nil {
		c.add(field, err.Error())
	}
}

// The bounds of looking up the names in one request.
const (
	lookUpTimeout = time.Second
	maxLookUps    = 8
)

// urlsOfInstance is what may be a URL in a request about an instance, by field.
func urlsOfInstance(body json.RawMessage) map[string]any {
	var given struct {
		Agent struct {
			APIURL any `json:"apiUrl"`
		} `json:"agent"`
		ChannelConfig map[string]any `json:"channelConfig"`
	}
	if json.Unmarshal(body, &given) != nil {
		return nil // it is refused for another reason
	}
	urls := map[string]any{"agent.apiUrl": given.Agent.APIURL}
	for name, v := range given.ChannelConfig {
		urls["channelConfig."+name] = v
	}
	return urls
}

// urlsOfAgent is what may be a URL in a request about an agent.
func urlsOfAgent(body json.RawMessage) map[string]any {
	var given struct {
		APIURL any `json:"apiUrl"`
	}
	if json.Unmarshal(body, &given) != nil {
		return nil
	}
	return map[string]any{"apiUrl": given.APIURL}
}

// lookUpHosts refuses URLs of a request whose names stand for addresses that
// this hub may not call. It is a courtesy: what a name stands for is checked
// at each call.
func lookUpHosts(ctx context.Context, check func(ctx context.Context, rawURL string) error, urls map[string]any) error {
	if check == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookUpTimeout)
	defer cancel()
	var c checks
	left := maxLookUps
	for _, field := range slices.Sorted(maps.Keys(urls)) {
		raw, ok := urls[field].(string)
		if !ok || left == 0 || !strings.HasPrefix(raw, "http://") && !strings.HasPrefix(raw, "https://") {
			continue
		}
		left--
		c.outgoing(field, raw, func(raw string) error { return check(ctx, raw) })
	}
	return c.err()
}
