package telegram

import (
	"net/url"
	"regexp"
	"strings"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/message"
)

// Type is the channel's name in an instance.
const Type = "telegram"

const defaultAPI = "https://api.telegram.org"

// The modes of receiving.
const (
	modePolling = "polling"
	modeWebhook = "webhook"
)

func init() { channels.Register(Channel{}) }

// Channel is the Telegram channel.
type Channel struct{}

var (
	_ channels.Channel         = Channel{}
	_ channels.WebhookReceiver = Channel{}
)

// config is channelConfig.
type config struct {
	BotToken    string `json:"botToken"`
	Mode        string `json:"mode"`
	SecretToken string `json:"secretToken"`
	APIBaseURL  string `json:"apiBaseUrl"`
}

var sendable = []message.ContentType{message.TypeText, message.TypeImage, message.TypeAudio, message.TypeVideo, message.TypeDocument,
	message.TypeSticker, message.TypeLocation, message.TypeContact, message.TypePoll, message.TypeButtons}

// Info describes the channel.
func (Channel) Info() channels.Info {
	return channels.Info{
		Type: Type,
		Name: "Telegram",
		Capabilities: channels.Capabilities{
			Send:          sendable,
			Receive:       []message.Kind{message.KindMessage, message.KindEdit, message.KindReaction},
			MaxTextLength: 4096,
			MaxCaption:    1024,
			LengthUnit:    channels.UnitUTF16,
			Markup:        channels.MarkupTelegramHTML,
			Edit:          true,
			Delete:        true,
			React:         true,
			Typing:        true,
			TypingSeconds: 5,
			Groups:        true,
			Webhook:       true,
			// https://core.telegram.org/bots/faq, "My bot is hitting limits"
			SendPerSecond:  30,
			EditPerSecond:  1,
			ChatPerSecond:  1,
			GroupPerMinute: 20,
		},
		Config: []channels.ConfigField{
			{Name: "botToken", Secret: true, Required: true, Doc: "the token that @BotFather gave, such as 123456789:AAE…"},
			{Name: "mode", Doc: "polling (default), or webhook, which needs OMNI_PUBLIC_URL"},
			{Name: "secretToken", Secret: true, Doc: "mode webhook: proves that a call is Telegram's; 1 to 256 letters, digits, _ and -"},
			{Name: "apiBaseUrl", Destination: true, Doc: "another server of the Bot API; " + defaultAPI + " if left out"},
		},
	}
}

var (
	botTokenForm    = regexp.MustCompile(`^([0-9]{1,20}):[A-Za-z0-9_-]{10,128}$`)
	secretTokenForm = regexp.MustCompile(`^[A-Za-z0-9_-]{1,256}$`)
)

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
	complain := func(field, reason string) (config, error) {
		return c, &channels.ConfigError{Field: "channelConfig." + field, Reason: reason}
	}
	if !botTokenForm.MatchString(c.BotToken) {
		return complain("botToken", "must be a bot token such as 123456789:AAE…, as @BotFather gives it")
	}
	if c.Mode == "" {
		c.Mode = modePolling
	}
	if c.Mode != modePolling && c.Mode != modeWebhook {
		return complain("mode", "must be polling or webhook")
	}
	if c.SecretToken != "" && !secretTokenForm.MatchString(c.SecretToken) {
		return complain("secretToken", "must be 1 to 256 letters, digits, _ and -")
	}
	if c.Mode == modeWebhook && c.SecretToken == "" {
		return complain("secretToken", "is required in mode webhook: it proves that a call is Telegram's")
	}
	if c.APIBaseURL == "" {
		c.APIBaseURL = defaultAPI
		return c, nil
	}
	u, err := url.Parse(c.APIBaseURL)
	if err != nil || u.RawQuery != "" || u.Fragment != "" || u.User != nil || strings.HasSuffix(c.APIBaseURL, "/") {
		return complain("apiBaseUrl", "must be scheme, host and an optional path, without a slash at the end")
	}
	if err := cfg.CheckFetchable(c.APIBaseURL); err != nil {
		return complain("apiBaseUrl", err.Error())
	}
	return c, nil
}

// botID is the bot's own user id: the first part of its token.
func (c config) botID() int64 {
	id, _, _ := strings.Cut(c.BotToken, ":")
	return parseInt(id)
}

// New prepares a session without touching the network.
func (Channel) New(cfg channels.Config, deps channels.Deps) (channels.Session, error) {
	checked := cfg
	checked.CheckURL = nil // an address that has since been refused fails when it is called
	c, err := readConfig(checked)
	if err != nil {
		return nil, err
	}
	return newSession(c, cfg, deps)
}
