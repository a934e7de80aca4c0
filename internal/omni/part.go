package omni

import (
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/omnihub/omni/channels/message"
)

// The values of MessagingConfig.UnknownPolicy: what becomes of a reply when
// nobody knows whether a part of it arrived.
const (
	UnknownHold   = "hold"   // the rest is kept back
	UnknownSkip   = "skip"   // the rest goes on
	UnknownResend = "resend" // it is sent once more, at the risk of a second bubble
)

// PartClaim is one part handed to a sender, or why none was.
//
// State is claimed (hand it over), resume (a former sender may have handed it
// over), busy (ask again after Wait), later (not before Wait is over, as the
// platform said; Error has its words), done, stopped (an earlier part failed or
// is unknown: see Status), cancelled, adopted or expired.
type PartClaim struct {
	State     string
	MessageID uuid.UUID
	Part      message.Part
	Content   message.Content
	Attempts  int // with this one
	Chat      message.Chat
	ReplyTo   string // the platform's id of what is answered
	Wait      time.Duration
	Sent      int
	Status    string // stopped: of the part that stopped it
	Bubble    int    // times that it was begun anew, under another key
	Error     string
}

// SendKey is the idempotency key under which the part is handed over.
func (c PartClaim) SendKey() string {
	if c.Bubble == 0 {
		return c.MessageID.String()
	}
	return c.MessageID.String() + "/" + strconv.Itoa(c.Bubble)
}

// ClaimParams are the parameters of ClaimPart and ClaimOutbound. Sender is
// <owner>/<process>/<n>.
type ClaimParams struct {
	ChatID      uuid.UUID
	TurnID      uuid.UUID // ClaimPart
	MessageID   uuid.UUID // ClaimOutbound
	WorkflowID  string
	Epoch       int
	Sender      string
	TTL         time.Duration // replies older than this are not begun
	SkipUnknown bool
	StartedAt   time.Time
}

// ReceiptParams say what came of a part. Status is sent, failed, unknown,
// expired, or queued (known not to have been sent, to be tried again).
type ReceiptParams struct {
	ChatID     uuid.UUID
	MessageID  uuid.UUID
	Status     string
	ExternalID string
	Error      string
	TurnID     uuid.NullUUID // null: sent by API
	WorkflowID string
	Epoch      int
	FinishAs   string        // the outcome of the turn once its last part is sent
	RetryAfter time.Duration // queued: no sooner
	Attempt    Attempt
}
