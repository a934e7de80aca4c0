package agent

import (
	"context"
	"time"

	"github.com/google/uuid"
	"golang.org/x/time/rate"

	"github.com/omnihub/omni/activities"
	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
)

// Store is what the steps need of the database.
type Store interface {
	TurnBatch(ctx context.Context, turn uuid.UUID, epoch int) ([]omni.TurnMessage, error)
	AgentTurn(ctx context.Context, turn uuid.UUID, workflowID string, epoch int, past omni.Memory) (*omni.AgentTurn, error)
	SessionHistory(ctx context.Context, sessionKey string, turn uuid.UUID, past omni.Memory) ([]omni.PastMessage, error)
	AnswerTurn(ctx context.Context, chat, turn uuid.UUID, workflowID string, epoch int, ans omni.Answer,
		deliverWithin time.Duration, a omni.Attempt) (state string, parts int, err error)
	// AnswerAndClaim also claims the part of an answer that has only one.
	AnswerAndClaim(ctx context.Context, p omni.ClaimParams, ans omni.Answer, deliverWithin time.Duration,
		a omni.Attempt) (state string, parts int, c omni.PartClaim, err error)
	AwaitStore
	// GateTurn keeps that the agent is to be asked.
	GateTurn(ctx context.Context, turn uuid.UUID, workflowID string, epoch int, d omni.GateDecision) (mine bool, err error)
	AgentFailed(ctx context.Context, f omni.AgentFailure, a omni.Attempt) (mine bool, err error)
	AgentAttempts(ctx context.Context, turn uuid.UUID) (int, error)
	// FollowUpStands reports whether the answer to a follow-up's prompt can
	// still go out; one that cannot is cancelled.
	FollowUpStands(ctx context.Context, chat, turn uuid.UUID, workflowID string, epoch int, a omni.Attempt) (bool, error)
	GiveUpTurn(ctx context.Context, t omni.TurnFailure, a omni.Attempt) (state string, parts *int, err error)
}

// Provider calls agents. It makes one attempt, and fails with
// *omni.AgentError or with the context's error.
type Provider interface {
	Reply(ctx context.Context, req omni.AgentRequest) (omni.AgentReply, error)
}

// Instances reads instances, usually from memory.
type Instances interface {
	Get(ctx context.Context, id uuid.UUID) (*omni.Instance, error)
}

// Cancels hurries the end of a call whose turn was cancelled. The row decides;
// a cancel that is missed costs nothing but time.
type Cancels interface {
	OnCancel(turnID uuid.UUID, fn func()) (stop func(), err error)
}

// Typer shows a typing indicator in a chat of an instance.
type Typer interface {
	Typing(ctx context.Context, channelType string, instanceID uuid.UUID, chat message.Chat) error
}

// Live shows an answer in its chat while it is being said, where the channel
// can edit what it has sent.
type Live interface {
	// WriteLive begins; nil where the channel cannot. split makes the parts of a
	// text as the whole answer's will be made.
	WriteLive(ctx context.Context, turn activities.TurnRef, chat message.ChatType, split func(text string) []string) LiveWriter
	// RetireLive takes back what is shown of a turn and is not in its answer.
	RetireLive(ctx context.Context, turn activities.TurnRef, answer []message.Content) error
	// SettleLive leaves what is shown of a turn that gets no answer as it is.
	SettleLive(ctx context.Context, turn activities.TurnRef) error
}

// LiveWriter writes one answer.
type LiveWriter interface {
	Hear(text string)
	Stop()                       // and wait: nothing is shown afterwards
	Release(ctx context.Context) // after Stop: others may go on
}

// Streams tells whoever listens now what an agent is saying. It does not wait,
// and nothing depends on it.
type Streams interface {
	PublishAgentStream(turnID uuid.UUID, frame []byte) error
}

// Sender delivers in this process.
type Sender interface {
	// Claiming names who is about to hand a part of the turn over.
	Claiming(inst *omni.Instance, turn activities.TurnRef) omni.ClaimParams
	// Keep leaves a claimed part to the delivery that is to follow. False: the
	// claim handed nothing out.
	Keep(p omni.ClaimParams, c omni.PartClaim) bool
}

// Observer hears how each call went: outcome is ok, cancelled or the kind of
// the error.
type Observer func(ctx context.Context, provider, outcome string, took time.Duration)

// Spending hears what a call took; cost is nil where it is not known.
type Spending func(ctx context.Context, provider, model string, used omni.AgentUsage, cost *omni.Cost)

// Activities implements the steps.
type Activities struct {
	Store        Store
	Provider     Provider
	Instances    Instances
	Agents       activities.Agents // nil: there are only instances' own
	Cancels      Cancels
	Capabilities func(channelType string) channels.Capabilities
	CheckURL     func(rawURL string) error // of attachments in answers; nil: only their form is looked at
	Quick        *Quick
	Deliveries   *omni.Latencies // by channel, as package deliver keeps them
	Sender       Sender          // nil: the delivery claims all parts itself
	Process      string          // the name of this process
	Typer        Typer           // nil: no indicator while the agent thinks
	Live         Live            // nil: answers are shown when they are whole
	Streams      Streams         // nil: nobody is told what is being said
	Silence      *rate.Limiter   // of looks whether a follow-up is still wanted; nil: none
	Observe      Observer        // nil: nobody listens
	Spent        Spending        // nil: nobody counts
}

// Tunables of the steps.
const (
	deliverWithin = omni.DeliverWithin
	// retryWithin is the longest pause between two attempts that the catalogue
	// allows, with slack for a busy queue.
	retryWithin = 60 * time.Second
)
