package omni

import (
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/omnihub/omni/channels/message"
)

// AgentRequest is one call of an agent: everything a provider needs, nothing
// it must look up.
type AgentRequest struct {
	TurnID     uuid.UUID // also the Idempotency-Key: a retry carries the same
	InstanceID uuid.UUID
	Instance   string // its name
	Channel    string
	ChatID     uuid.UUID
	Chat       message.Chat
	SessionKey string // whose conversation with the agent this is
	Config     AgentConfig
	APIKey     string        // secret
	Person     AgentPerson   // whom the agent answers
	Sender     AgentSender   // and under which account of the channel
	Messages   []TurnMessage // the batch, in order
	History    []PastMessage // before the batch, oldest first

	// OnDelta hears each new piece of the answer's text while it is being said,
	// in order, on the goroutine of the call: providers that can stream call it
	// where Config.Streaming asks for that. It does not block. Nil: nobody
	// listens. What the call returns is the answer, whatever was heard.
	OnDelta func(text string)
}

// AgentPerson is the person behind a turn: the sender of its first message,
// or, where no message leads it, whom the chat is with. The zero value: nobody
// in particular.
type AgentPerson struct {
	ID   uuid.NullUUID `json:"id"`
	Name string        `json:"name"`
}

// AgentSender is an account on the channel, named by the platform's own id.
type AgentSender struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// PastMessage is one message of a chat's past, as it was delivered.
type PastMessage struct {
	FromAgent  bool            `json:"fromAgent"` // what the account wrote, whoever wrote it
	TurnID     uuid.NullUUID   `json:"turnId"`    // of the reply it is a part of
	Channel    string          `json:"channel"`
	SenderName string          `json:"senderName"`
	SenderID   string          `json:"senderId"`
	Text       string          `json:"text"`
	Content    message.Content `json:"content"`
	At         time.Time       `json:"at"`
	Uncertain  bool            `json:"uncertain,omitempty"` // nobody knows whether it arrived

	// A reaction's Text is its emoji, and Target the message of ours it was put on.
	Kind   message.Kind    `json:"kind,omitempty"` // "" for a message
	Target *ReactionTarget `json:"target,omitempty"`

	ReplyTo *QuotedMessage `json:"replyTo,omitempty"`

	// AfterSeq is not 0 for what was said between the messages of the batch,
	// in a reply that they interrupted: behind those up to this sequence.
	AfterSeq int64 `json:"afterSeq,omitempty"`
}

// Memory bounds what an agent is told of the past: the last messages, and none
// older than Within (0: however old).
type Memory struct {
	Messages int
	Within   time.Duration
}

// SaidBefore reports whether m was said before a message of the batch.
func (m *PastMessage) SaidBefore(t *TurnMessage) bool { return m.AfterSeq == 0 || m.AfterSeq < t.Seq }

// AgentReply is what an agent answered: Parts, if there are any, instead of
// Text. Later: not now, but by POST /turns/{id}/reply.
type AgentReply struct {
	Text    string
	Parts   []message.Content
	Later   bool
	Actions []AgentAction  // beside what is said: see ParseActions and ToolAction
	Usage   AgentUsage     // zero: the agent does not say
	Details map[string]any // for the event agent.response: model, finishReason
}

// AgentUsage is what one call of an agent took, in tokens.
type AgentUsage struct {
	InputTokens  int `json:"inputTokens"`
	OutputTokens int `json:"outputTokens"`
}

// AgentErrorKind classifies a failed call; it steers the retries.
type AgentErrorKind string

// The kinds of agent errors.
const (
	AgentRateLimited    AgentErrorKind = "rate_limited"    // ask again after RetryAfter
	AgentTransient      AgentErrorKind = "transient"       // 5xx, network, timeout
	AgentCut            AgentErrorKind = "cut"             // the answer broke off
	AgentMalformed      AgentErrorKind = "malformed"       // an answer that cannot be read
	AgentBadCredentials AgentErrorKind = "bad_credentials" // a person must act
	AgentBadRequest     AgentErrorKind = "bad_request"     // refused for good
	AgentEmpty          AgentErrorKind = "empty"           // answered nothing
	AgentTooLarge       AgentErrorKind = "too_large"       // answered more than is read
	AgentInvalid        AgentErrorKind = "invalid_answer"  // answered what cannot be sent
	AgentUnsupported    AgentErrorKind = "unsupported"     // no such provider
)

// Retryable reports whether the same call may succeed later. What an agent
// chose to answer is no reason to pay for the call again.
func (k AgentErrorKind) Retryable() bool {
	switch k {
	case AgentRateLimited, AgentTransient, AgentCut, AgentMalformed:
		return true
	default:
		return false
	}
}

// AgentError is the typed failure of a call.
type AgentError struct {
	Kind       AgentErrorKind
	Status     int           // HTTP status, 0 without an answer
	RetryAfter time.Duration // zero: the engine's own back-off
	Reason     string        // for people; never holds a secret
}

func (e *AgentError) Error() string {
	if e.Status != 0 {
		return fmt.Sprintf("%s (%d): %s", e.Kind, e.Status, e.Reason)
	}
	return fmt.Sprintf("%s: %s", e.Kind, e.Reason)
}

// AgentErrorKindOf reads the kind from the text of an AgentError. Types of
// Temporal's errors say less: several kinds share one.
func AgentErrorKindOf(text string) AgentErrorKind {
	if i := strings.IndexAny(text, " :"); i > 0 {
		text = text[:i]
	}
	return AgentErrorKind(text)
}

// ProviderEcho is the provider that repeats what it is told. It is part of
// the hub, so it needs no context and is always quick.
const ProviderEcho = "echo"

// AgentTurn is what the step that answers needs to know of its turn.
type AgentTurn struct {
	State      string        // a TurnState: "closed" while it is the caller's to answer
	Parts      *int          // of the answer; nil: none is stored
	Text       *string       // what is to be said without asking; nil: ask
	Gate       *GateDecision // what was decided in an earlier run; nil: nothing
	Awaiting   bool          // the agent has accepted it, and will answer by a call of its own
	FollowUp   bool          // nobody has asked: it breaks a silence, while that lasts
	Person     AgentPerson   // whom the chat is with
	SessionKey string
	Chat       message.Chat
	History    []PastMessage // oldest first
}

// AgentFailure is one failed attempt of a turn's agent that is to be repeated.
type AgentFailure struct {
	TurnID     uuid.UUID
	WorkflowID string
	Epoch      int
	Error      *AgentError
	Within     time.Duration // until the turn is suspect
}
