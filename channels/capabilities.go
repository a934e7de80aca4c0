package channels

import "github.com/omnihub/omni/channels/message"

// LengthUnit is what a platform counts when it limits a text.
type LengthUnit string

// The units of text length.
const (
	UnitRunes     LengthUnit = "runes"
	UnitUTF16     LengthUnit = "utf16"
	UnitBytes     LengthUnit = "bytes"
	UnitGraphemes LengthUnit = "graphemes"
)

// Markup is how a platform wants emphasis, links and code written.
type Markup string

// The markups a channel may ask for.
const (
	MarkupVerbatim     Markup = "verbatim" // text as the agent wrote it
	MarkupPlain        Markup = "plain"
	MarkupTelegramHTML Markup = "telegram-html"
	MarkupMrkdwn       Markup = "slack-mrkdwn"
	MarkupWhatsApp     Markup = "whatsapp"
	MarkupDiscord      Markup = "discord-markdown"
)

// Capabilities is what a channel can do, as data.
type Capabilities struct {
	Send           []message.ContentType `json:"send"`    // content types it takes
	Receive        []message.Kind        `json:"receive"` // kinds it delivers
	MaxTextLength  int                   `json:"maxTextLength"`
	MaxCaption     int                   `json:"maxCaptionLength"` // of the text of media; 0: as any other
	LengthUnit     LengthUnit            `json:"lengthUnit"`
	Markup         Markup                `json:"markup"`
	IdempotentSend bool                  `json:"idempotentSend"` // takes a client id: the same Key twice shows one bubble
	Edit           bool                  `json:"edit"`
	Delete         bool                  `json:"delete"`
	React          bool                  `json:"react"`
	Typing         bool                  `json:"typing"`
	Presence       bool                  `json:"presence"` // says who is connected (Deps.Presence)
	ReadReceipts   bool                  `json:"readReceipts"`
	Groups         bool                  `json:"groups"`
	Webhook        bool                  `json:"webhook"`                 // the platform calls /webhook/{channel}/{instanceId}
	Page           bool                  `json:"page"`                    // serves /chat/{instanceId}
	Login          bool                  `json:"login"`                   // needs a person to log in (QR, pairing code)
	TypingSeconds  float64               `json:"typingSeconds,omitempty"` // how long one indicator is shown; 0: about 5
	SendPerSecond  float64               `json:"sendPerSecond"`           // per instance, 0: no limit known
	ChatPerSecond  float64               `json:"sendPerSecondPerChat"`    // per chat, 0: no limit known
	EditPerSecond  float64               `json:"editPerSecond,omitempty"` // how often one message may be edited while it is being written; 0: it is not
	GroupPerMinute int                   `json:"sendPerMinutePerGroup"`   // per group, beside the chat's; 0: no limit known
}
