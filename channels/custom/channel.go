package custom

import (
	"net/url"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/message"
)

// Type is the channel's name in an instance.
const Type = "custom"

func init() { channels.Register(Channel{}) }

// Channel is the custom channel.
type Channel struct{}

var (
	_ channels.Channel         = Channel{}
	_ channels.WebhookReceiver = Channel{}
)

// config is channelConfig.
type config struct {
	Secret      string `json:"secret"`
	CallbackURL string `json:"callbackUrl"`
}

// Info describes the channel.
func (Channel) Info() channels.Info {
	return channels.Info{
		Type: Type,
		Name: "Custom (HTTP)",
		Capabilities: channels.Capabilities{
			Send:           message.ContentTypes(),
			Receive:        message.Kinds(),
			MaxTextLength:  maxSent,
			LengthUnit:     channels.UnitBytes,
			Markup:         channels.MarkupVerbatim,
			IdempotentSend: true,
			Edit:           true,
			EditPerSecond:  1, // each is a call
			Delete:         true,
			React:          true,
			Typing:         true,
			TypingSeconds:  5,
			Groups:         true,
			Webhook:        true,
		},
		Config: []channels.ConfigField{
			{Name: "secret", Secret: true, Required: true,
				Doc: "signs both ways (Standard Webhooks): whsec_ and the base64 of 24 to 64 random bytes"},
			{Name: "callbackUrl", Doc: "where replies are posted; without it the instance only receives"},
		},
	}
}

// Validate checks a channelConfig.
func (Channel) Validate(cfg channels.Config) error {
	_, err := readConfig(cfg)
	return err
}

func readConfig(cfg channels.Config) (config, error) {
	var c config
	if err := cfg.Decode(&c); err != nil {
		return c, err
	}
	if _, err := parseSecret(c.Secret); err != nil {
		return c, &channels.ConfigError{Field: "channelConfig.secret", Reason: err.Error()}
	}
	if c.CallbackURL != "" {
		if u, err := url.Parse(c.CallbackURL); err == nil && u.User != nil {
			return c, &channels.ConfigError{Field: "channelConfig.callbackUrl",
				Reason: "must not hold a user name or password: it is shown to everybody who may read the instance, and calls are signed"}
		}
		if err := cfg.CheckFetchable(c.CallbackURL); err != nil {
			return c, &channels.ConfigError{Field: "channelConfig.callbackUrl", Reason: err.Error()}
		}
	}
	return c, nil
}

// New prepares a session. Only the form of the configuration is checked here:
// an address that has since been refused fails at the send, with its reason.
func (Channel) New(cfg channels.Config, deps channels.Deps) (channels.Session, error) {
	cfg.CheckURL = nil
	c, err := readConfig(cfg)
	if err != nil {
		return nil, err
	}
	return newSession(c, deps)
}
