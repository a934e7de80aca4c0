package webchat

import (
	"encoding/json"
	"time"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/message"
)

// The types of frames.
const (
	frameHello   = "hello"
	frameMessage = "message"
	frameTyping  = "typing"
	frameHistory = "history"
	frameReady   = "ready"
	frameEdit    = "edit"
	frameDelete  = "delete"
	frameAck     = "ack"
	frameError   = "error"
)

// The codes of error frames. The page repeats what failed with the first two.
const (
	codeUnavailable = "unavailable"
	codeRateLimited = "rate_limited"
	codeInvalid     = "invalid"
	codeTooLarge    = "too_large"
)

// clientFrame is what a page sends.
type clientFrame struct {
	Type    string `json:"type"`
	Visitor string `json:"visitor,omitempty"` // hello: the secret token
	Since   string `json:"since,omitempty"`   // hello: the newest message id it has
	ID      string `json:"id,omitempty"`      // message: made by the page
	Text    string `json:"text,omitempty"`
	Button  string `json:"button,omitempty"` // message: the id of the button that was pressed; Text is what it says
}

// serverFrame is what a page is sent.
type serverFrame struct {
	Type         string                 `json:"type"`
	Message      *channels.HistoryItem  `json:"message,omitempty"`
	Messages     []channels.HistoryItem `json:"messages,omitempty"`
	ID           string                 `json:"id,omitempty"`
	MessageID    string                 `json:"messageId,omitempty"`
	Code         string                 `json:"code,omitempty"`
	Detail       string                 `json:"detail,omitempty"`
	RetryAfterMs int64                  `json:"retryAfterMs,omitempty"`
}

func (f serverFrame) encode() []byte {
	b, err := json.Marshal(f)
	if err != nil {
		panic("webchat: a frame that cannot be encoded: " + err.Error()) // strings, numbers and times only
	}
	return b
}

// outItem is an outbound message as history will show it.
func outItem(out message.Outbound, now time.Time) *channels.HistoryItem {
	return &channels.HistoryItem{ID: out.ID, Outbound: true, Content: out.Content, Part: out.Part, CreatedAt: now}
}
