package omni

import (
	"time"

	"github.com/google/uuid"

	"github.com/omnihub/omni/channels/message"
)

// Attempt says which try of a step is running, for the event it writes.
type Attempt struct {
	StartedAt   time.Time
	Number      int
	ScheduledAt time.Time // of the first try; zero where it is not known
	Local       bool      // the step is a local activity: what follows it runs in this process, most likely
}

// TurnView is a turn as the asking workflow must see it now. State is one of
// the TurnState values of package activities.
type TurnView struct {
	State    string
	TurnID   uuid.NullUUID
	Epoch    int
	Leader   uuid.NullUUID
	Wait     time.Duration
	Outcome  string
	Messages int
	Answered bool
	Suspect  uuid.NullUUID // an overdue turn: ask Temporal whether its workflow lives

	Agent     string        // which agent answers: InstanceAgent or an agent's id
	Interrupt uuid.NullUUID // JoinTurn: the turn to interrupt; YieldTurn: the one that was
}

// TurnMessage is one message of a batch, as it read when the turn closed.
type TurnMessage struct {
	ID         uuid.UUID       `json:"id"`
	Text       string          `json:"text"`
	Content    message.Content `json:"content"`
	SenderName string          `json:"senderName"`
	SenderID   string          `json:"senderId"`
	PersonID   uuid.NullUUID   `json:"personId"`
	ExternalID string          `json:"externalId"`
	Seq        int64           `json:"seq"`
	SentAt     *time.Time      `json:"sentAt"`
	Facts      MessageFacts    `json:"facts"`

	// A reaction's Text is its emoji, and Target the message of ours it was put on.
	Kind   message.Kind    `json:"kind,omitempty"` // "" for a message
	Target *ReactionTarget `json:"target,omitempty"`

	ReplyTo *QuotedMessage `json:"replyTo,omitempty"` // nil: it answers nothing in particular
}

// QuotedMessage is what a message answers, as its platform says.
type QuotedMessage struct {
	ID         uuid.UUID `json:"id"`
	FromAgent  bool      `json:"fromAgent"` // what the account wrote, whoever wrote it
	SenderName string    `json:"senderName"`
	Text       string    `json:"text"` // its beginning
}

// ReactionTarget is the message of ours that a reaction was put on.
type ReactionTarget struct {
	ID         uuid.UUID `json:"id"`
	ExternalID string    `json:"externalId"`
	Text       string    `json:"text"`
}

// JoinParams are the parameters of JoinTurn.
type JoinParams struct {
	ChatID       uuid.UUID
	MessageID    uuid.UUID
	SessionKey   string
	Agent        string
	WorkflowID   string
	TurnID       uuid.UUID     // of the turn that the message would lead
	Refuse       string        // why the message is not answered, "" if it is
	Quiet        time.Duration // debounce of the turn that the message would lead
	QuietCap     time.Duration // from the first message
	MediaPending bool
	Close        bool // nothing to wait for: close in the same transaction
	Interrupt    bool // name the turn that answers, if it may be interrupted
	Closing      ClosingParams
	Attempt      Attempt
}

// YieldParams are the parameters of YieldTurn: From is the turn that answers,
// the others name the one that collects.
type YieldParams struct {
	ChatID     uuid.UUID
	TurnID     uuid.UUID
	WorkflowID string
	Epoch      int
	From       uuid.UUID
	Closing    ClosingParams
	Attempt    Attempt
}

// ClosingParams are what closing a turn needs beside the turn.
type ClosingParams struct {
	Provider     string
	AnswerWithin time.Duration // until the turn is suspect
	MediaWithin  time.Duration // how long pending media is waited for, from its message's joining
	Typing       []TypingHold  // of CloseTurn: who types in the chat
}

// Answer is what an agent said, split into parts.
type Answer struct {
	Text    string
	Parts   []message.Content
	Took    time.Duration
	Details map[string]any // added to the data of agent.response: usage, model

	// Actions are those of the agent, nil for an answer and nothing else.
	// Reactions are its last parts, and Targets what they are put on.
	Actions []AgentAction
	Targets []uuid.UUID
	Gate    *GateDecision // where it says that there is no answer
}

// FinishParams are the parameters of FinishTurn.
type FinishParams struct {
	ChatID     uuid.UUID
	TurnID     uuid.UUID
	WorkflowID string
	Epoch      int
	Outcome    string
	Error      string
	DeadLetter string // the step whose failure becomes a dead letter, "" for none
	Attempts   int    // of that step
	Attempt    Attempt
}

// SuspectTurn is an overdue turn.
type SuspectTurn struct {
	ID          uuid.UUID
	TenantID    string
	InstanceID  uuid.UUID
	Channel     string
	ChatID      uuid.UUID
	Leader      uuid.UUID
	WorkflowID  string
	Epoch       int
	Traceparent string
}

// StrandedMessage is a message recorded to be begun that nobody has begun.
type StrandedMessage struct {
	ID          uuid.UUID
	TenantID    string
	InstanceID  uuid.UUID
	Channel     string
	ChatID      uuid.UUID
	Kind        string
	ExternalID  string
	Seq         uint64
	RecordedAt  time.Time
	Traceparent string
}

// TurnFailure is an agent's final failure.
type TurnFailure struct {
	ChatID     uuid.UUID
	TurnID     uuid.UUID
	WorkflowID string
	Epoch      int
	Error      string // scrubbed
	Kind       string // the error's stable type
	Attempts   int
}
