package channels

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"time"

	"github.com/omnihub/omni/channels/message"
)

// Channel is one platform. Implementations are stateless and safe for
// concurrent use: everything that lives belongs to a Session.
type Channel interface {
	// Info describes the channel. It is called often and must not block.
	Info() Info
	// Validate checks a channelConfig, secrets included, before an instance is
	// stored. It returns a *ConfigError that names the field.
	Validate(cfg Config) error
	// New prepares a session without touching the network.
	New(cfg Config, deps Deps) (Session, error)
}

// Info is what a channel says of itself.
type Info struct {
	Type         string        `json:"type"` // "telegram": the name in Instance.channel
	Name         string        `json:"name"` // "Telegram"
	Capabilities Capabilities  `json:"capabilities"`
	Config       []ConfigField `json:"config"`
}

// ConfigField documents one field of channelConfig. Secret fields are
// write-only: encrypted at rest and never given back.
type ConfigField struct {
	Name     string `json:"name"`
	Doc      string `json:"doc"`
	Secret   bool   `json:"secret,omitempty"`
	Required bool   `json:"required,omitempty"`
	// Destination fields say where the secrets of the channel are sent: who
	// changes one must give the secrets again.
	Destination bool `json:"destination,omitempty"`
}

// Config is one instance's configuration as its channel sees it.
type Config struct {
	TenantID   string
	InstanceID string          // UUID
	Values     json.RawMessage // channelConfig with secrets in the clear
	PublicURL  string          // where the outside reaches this hub, "" if unknown

	// CheckURL refuses addresses that outgoing calls of this hub may not reach.
	// Who builds a Config sets it; where it is nil only the URL's form is checked.
	CheckURL func(rawURL string) error
}

// Decode reads Values into v, which has json tags.
func (c Config) Decode(v any) error {
	if len(c.Values) == 0 {
		return nil
	}
	if err := json.Unmarshal(c.Values, v); err != nil {
		return &ConfigError{Field: "channelConfig", Reason: err.Error()}
	}
	return nil
}

// Session is one connected account. The gateway that holds the instance's
// lease owns it: Start is called once, Send concurrently after Start returned,
// Stop once, also when Start failed.
type Session interface {
	// Start connects and returns. What happens on the platform from then on
	// goes to in, until Stop. A session that must reconnect does so by itself
	// and says so by in.State.
	Start(ctx context.Context, in Sink) error
	// Stop disconnects and waits for everything the session started.
	Stop(ctx context.Context) error
	// Send hands one bubble to the platform. Errors are *SendError; any other
	// error counts as an unknown outcome. It must not retry by itself.
	Send(ctx context.Context, out message.Outbound) (message.Receipt, error)
}

// Sink takes what a session or webhook receives.
type Sink interface {
	// Publish stores the event durably and returns only then: acknowledge the
	// platform after it, never before. It is safe for concurrent use.
	Publish(ctx context.Context, in message.Inbound, raw []byte) (Ack, error)
	// State reports the connection. It does not block.
	State(State)
}

// Ack says what became of a published event.
type Ack struct {
	MessageID string // UUID, the same for the same event for ever
	Duplicate bool
}

// Status is the state of an instance's connection.
type Status string

// The states of an instance.
const (
	StatusActive     Status = "active"
	StatusInactive   Status = "inactive"
	StatusConnecting Status = "connecting"
	StatusError      Status = "error"
	StatusNeedsLogin Status = "needs_login"
)

// State is one report of the connection.
type State struct {
	Status Status
	Reason string // for people; never holds a secret
}

// Deps is what a session is handed.
type Deps struct {
	Log  *slog.Logger
	HTTP *http.Client // guarded against private addresses; has no overall timeout: use the context
	KV   KV           // small durable state of this instance: offsets, cursors
	Live Live         // fan-out to whatever is connected to any process

	Presence Presence // who is connected to the platform; nil: nobody wants to know
}

// Presence is where a channel says which people are connected to its platform,
// scoped to one instance and to whoever was handed it. Best effort: nothing is
// decided by it.
type Presence interface {
	// Online says that somebody is connected. It holds for a minute: say it again
	// while they are.
	Online(ctx context.Context, userID string) error
	// Offline says that they have left.
	Offline(ctx context.Context, userID string) error
}

// KV is a small durable store, scoped to one instance.
type KV interface {
	// Get returns nil, nil where the key is absent.
	Get(ctx context.Context, key string) ([]byte, error)
	Put(ctx context.Context, key string, value []byte) error
	Delete(ctx context.Context, key string) error
}

// Live is a best-effort fan-out between processes, scoped to one instance.
// What must not be lost is in the message history, not here.
type Live interface {
	Broadcast(ctx context.Context, topic string, data []byte) error
	// Listen calls fn, one at a time, until stop is called.
	Listen(topic string, fn func(data []byte)) (stop func(), err error)
}

// WebhookReceiver is implemented by channels whose platform calls us. It is
// called on any process, without a session.
type WebhookReceiver interface {
	Channel
	// ReceiveWebhook verifies the raw bytes first, then parses, publishes and
	// answers. A *WebhookError becomes an RFC 9457 answer.
	ReceiveWebhook(ctx context.Context, cfg Config, req WebhookRequest, in Sink) (WebhookResponse, error)
}

// WebhookRequest is one call of a platform, body unparsed.
type WebhookRequest struct {
	Method string
	Header http.Header
	Query  map[string][]string
	Body   []byte
	Now    time.Time
}

// WebhookResponse is the answer to a platform.
type WebhookResponse struct {
	Status      int
	ContentType string // default application/json
	Body        []byte
}

// PageServer is implemented by channels that serve a page to people (webchat).
type PageServer interface {
	Channel
	// Page returns the handler for /chat/{instanceId} and everything below it;
	// the prefix is already stripped.
	Page(cfg Config, deps PageDeps) http.Handler
}

// PageDeps is what a page is handed.
type PageDeps struct {
	Deps
	Sink    Sink
	History History
}

// History reads the stored messages of one chat, for a page that reconnects.
type History interface {
	// Since returns the visible messages of the platform chat from the given
	// Omni message id on ("" for the newest limit), oldest first, as they read
	// now; what was deleted since is in it without its content.
	Since(ctx context.Context, chatID, afterMessageID string, limit int) ([]HistoryItem, error)
}

// HistoryItem is one stored message.
type HistoryItem struct {
	ID        string          `json:"id"` // Omni's message id
	Outbound  bool            `json:"outbound"`
	Content   message.Content `json:"content"`
	Part      message.Part    `json:"part"`
	ClientID  string          `json:"clientId,omitempty"` // inbound: the platform event id
	CreatedAt time.Time       `json:"createdAt"`
	Deleted   bool            `json:"deleted,omitempty"`
}

// Typer is implemented by sessions that can show a typing indicator.
type Typer interface {
	Typing(ctx context.Context, chat message.Chat) error
}

// Editor is implemented by sessions that can edit what they sent.
type Editor interface {
	Edit(ctx context.Context, out message.Outbound) (message.Receipt, error)
}

// Deleter is implemented by sessions that can delete what they sent.
type Deleter interface {
	Delete(ctx context.Context, out message.Outbound) error
}

// Reactor is implemented by sessions that can put a reaction on a message.
type Reactor interface {
	React(ctx context.Context, out message.Outbound) error
}

// FileLocator is implemented by sessions of platforms that name attachments by
// handles of their own (message.Media.Ref) instead of addresses.
type FileLocator interface {
	// LocateFile says where the bytes of a handle can be had now. Errors are
	// *SendError: ErrTooLarge and ErrNotFound are final.
	LocateFile(ctx context.Context, ref string) (FileLocation, error)
}

// FileLocation is where the bytes of an attachment are, for one download soon.
// Its address and header may hold a secret of the channel's: they are neither
// stored nor logged, nor part of any error.
type FileLocation struct {
	URL    string            `json:"url"`
	Header map[string]string `json:"header,omitempty"` // of the request
	Size   int64             `json:"size,omitempty"`   // bytes, 0 if unknown
}

// String keeps the address out of texts.
func (FileLocation) String() string { return "•••" }

// GoString does, too.
func (FileLocation) GoString() string { return "•••" }

// ReadMarker is implemented by sessions that can mark messages as read.
type ReadMarker interface {
	MarkRead(ctx context.Context, chat message.Chat, externalID string) error
}
