package omni

import (
	"encoding/json"
	"fmt"

	"github.com/omnihub/omni/channels"
)

// SecretMask stands for a secret in every answer. Sent back in a change, it
// means "as it was".
const SecretMask = "•••"

// IsSecretField reports whether a field of channelConfig is a secret of that
// channel. For a channel that is not in this binary every field counts as one:
// rather hide too much than publish a token.
func IsSecretField(channelType, field string) bool {
	c, ok := channels.Lookup(channelType)
	if !ok {
		return true
	}
	for _, f := range c.Info().Config {
		if f.Name == field {
			return f.Secret
		}
	}
	return false
}

// SplitConfig takes a channelConfig apart: what may be read, and what is
// sealed at rest.
func SplitConfig(channelType string, config json.RawMessage) (public, secret map[string]json.RawMessage, err error) {
	public, secret = map[string]json.RawMessage{}, map[string]json.RawMessage{}
	if len(config) == 0 {
		return public, secret, nil
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(config, &all); err != nil {
		return nil, nil, fmt.Errorf("reading channelConfig: %w", err)
	}
	for name, v := range all {
		if IsSecretField(channelType, name) {
			secret[name] = v
		} else {
			public[name] = v
		}
	}
	return public, secret, nil
}

// MaskConfig is a channelConfig as it may be shown: secrets that are set
// become SecretMask.
func MaskConfig(channelType string, config json.RawMessage) (json.RawMessage, error) {
	public, secret, err := SplitConfig(channelType, config)
	if err != nil {
		return nil, err
	}
	for name, v := range secret {
		if s := string(v); s == `""` || s == "null" {
			public[name] = v
			continue
		}
		public[name] = json.RawMessage(`"` + SecretMask + `"`)
	}
	return json.Marshal(public)
}
