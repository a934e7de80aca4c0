package omni

import (
	"time"

	"github.com/google/uuid"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/message"
)

// The states of LivePart as ClaimLive returns it.
const (
	LiveClaimed = "claimed" // send it
	LiveResume  = "resume"  // a former sender may have sent it
	LiveThere   = "live"    // it is there: edit it
	LiveBusy    = "busy"    // another delivery of the chat is at work: ask again
	LiveOver    = "over"    // the turn is not the caller's to answer any more, or has its answer
)

// LivePart is a part of a reply that is shown while the agent says it. Shown
// is the text of its first send, then of the last edit known to be made;
// without an ExternalID nobody knows whether that send arrived.
type LivePart struct {
	State      string // of ClaimLive
	MessageID  uuid.UUID
	Index      int
	ExternalID string
	Shown      string
	Queued     bool // known not to have been sent
	Bubble     int  // not 0: it goes on in another bubble, behind Shown
	Chat       message.Chat
	ReplyTo    string // the platform's id of what is answered
}

// LiveClaim are the parameters of ClaimLive. Text is its first, should it be
// begun.
type LiveClaim struct {
	ChatID     uuid.UUID
	TurnID     uuid.UUID
	WorkflowID string
	Epoch      int
	Sender     string
	Index      int
	Text       string
}

// LiveText says what the platform shows of a live part.
type LiveText struct {
	LiveClaim
	MessageID  uuid.UUID
	ExternalID string // "" where it is known
}

// editSlack is what is left of a group's rate for others than edits.
const editSlack = 1.25

// EditEvery is how often a message of a chat may be edited while it is being
// written; 0: it is not.
func EditEvery(caps channels.Capabilities, chat message.ChatType) time.Duration {
	if !caps.Edit || caps.EditPerSecond <= 0 {
		return 0
	}
	every := 1 / caps.EditPerSecond
	if caps.ChatPerSecond > 0 {
		every = max(every, 1/caps.ChatPerSecond)
	}
	if caps.GroupPerMinute > 0 && chat == message.ChatGroup {
		every = max(every, 60*editSlack/float64(caps.GroupPerMinute))
	}
	return time.Duration(every * float64(time.Second))
}
