package webchat

import (
	"fmt"
	"net/url"
	"path"
	"strings"
	"unicode/utf8"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/message"
)

// Type is the channel's name in an instance.
const Type = "webchat"

const (
	defaultTitle   = "Chat"
	maxTitle       = 100   // runes
	maxText        = 16384 // bytes of what a visitor writes at once
	maxButton      = 1024  // bytes of a button's id
	maxShown       = 16000 // runes of what a visitor is shown at once
	maxAllowedList = 100

	defaultNewChats = 60 // an office behind one address
	maxNewChats     = 1_000_000
)

func init() { channels.Register(Channel{}) }

// Channel is the chat page.
type Channel struct{}

var (
	_ channels.Channel    = Channel{}
	_ channels.PageServer = Channel{}
)

// config is channelConfig.
type config struct {
	Title          string   `json:"title"`
	AllowedOrigins []string `json:"allowedOrigins"`
	NewChats       int      `json:"newChatsPerMinute"`
}

// sendable are the contents that the page shows.
var sendable = []message.ContentType{message.TypeText, message.TypeImage, message.TypeAudio, message.TypeVideo,
	message.TypeDocument, message.TypeButtons}

// Info describes the channel.
func (Channel) Info() channels.Info {
	return channels.Info{
		Type: Type,
		Name: "Web chat",
		Capabilities: channels.Capabilities{
			Send:           sendable,
			Receive:        []message.Kind{message.KindMessage, message.KindTyping},
			MaxTextLength:  maxShown,
			LengthUnit:     channels.UnitRunes,
			Markup:         channels.MarkupPlain,
			IdempotentSend: true,
			Edit:           true,
			EditPerSecond:  4,
			Delete:         true,
			Typing:         true,
			Presence:       true,
			TypingSeconds:  6, // page.js
			Page:           true,
		},
		Config: []channels.ConfigField{
			{Name: "title", Doc: `shown at the top of the page; "Chat" if left out`},
			{Name: "allowedOrigins", Doc: "sites that may embed the page or connect to it, such as https://example.com or https://*.example.com; the hub's own address always may"},
			{Name: "newChatsPerMinute", Doc: fmt.Sprintf("how many new visitors from one address may begin to write in a minute, %d if left out, and in proportion how much all visitors from there may do; more behind a proxy, which is one address", defaultNewChats)},
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
	c.Title = strings.TrimSpace(c.Title)
	if utf8.RuneCountInString(c.Title) > maxTitle || strings.ContainsFunc(c.Title, func(r rune) bool { return r < 0x20 }) {
		return c, &channels.ConfigError{Field: "channelConfig.title", Reason: fmt.Sprintf("must be one line of at most %d characters", maxTitle)}
	}
	if c.Title == "" {
		c.Title = defaultTitle
	}
	if len(c.AllowedOrigins) > maxAllowedList {
		return c, &channels.ConfigError{Field: "channelConfig.allowedOrigins", Reason: fmt.Sprintf("has more than %d entries", maxAllowedList)}
	}
	if c.NewChats < 0 || c.NewChats > maxNewChats {
		return c, &channels.ConfigError{Field: "channelConfig.newChatsPerMinute", Reason: fmt.Sprintf("must be between 1 and %d", maxNewChats)}
	}
	if c.NewChats == 0 {
		c.NewChats = defaultNewChats
	}
	for _, o := range c.AllowedOrigins {
		if !validOrigin(o) {
			return c, &channels.ConfigError{Field: "channelConfig.allowedOrigins",
				Reason: fmt.Sprintf("%q must be scheme and host only, such as https://example.com or https://*.example.com", o)}
		}
	}
	return c, nil
}

// validOrigin takes "https://host[:port]" where the host may begin with "*.".
// It is strict because origins end up in the Content-Security-Policy header.
func validOrigin(o string) bool {
	u, err := url.Parse(o)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Scheme+"://"+u.Host != o {
		return false
	}
	host := strings.TrimPrefix(u.Host, "*.")
	if host == "" || strings.Trim(strings.ToLower(host), "abcdefghijklmnopqrstuvwxyz0123456789-.:[]") != "" {
		return false
	}
	_, err = path.Match(o, "")
	return err == nil
}

// New prepares a session.
func (Channel) New(cfg channels.Config, deps channels.Deps) (channels.Session, error) {
	if _, err := readConfig(cfg); err != nil {
		return nil, err
	}
	return &session{live: deps.Live}, nil
}
