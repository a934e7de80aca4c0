package deliver

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/omnihub/omni/activities"
	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
)

// Store is what the step needs of the database.
type Store interface {
	ClaimPart(ctx context.Context, p omni.ClaimParams) (omni.PartClaim, error)
	ClaimOutbound(ctx context.Context, p omni.ClaimParams) (omni.PartClaim, error)
	// UncertainPart notes that a part which may have arrived is sent again, and
	// returns how often that has been.
	UncertainPart(ctx context.Context, id uuid.UUID, try int, reason string) (times int, err error)
	// DoubtPart notes that a part which is handed over again, with the same
	// key, may have arrived.
	DoubtPart(ctx context.Context, id uuid.UUID) error
	// PartLength returns the characters of a part, 0 where there is none.
	PartLength(ctx context.Context, turn uuid.UUID, index int) (int, error)
	ReceiptPart(ctx context.Context, p omni.ReceiptParams) (finished bool, wake []string, err error)
	// Live parts: see omni.LivePart.
	ClaimLive(ctx context.Context, c omni.LiveClaim) (omni.LivePart, error)
	ShownLive(ctx context.Context, t omni.LiveText) (mine bool, err error)
	LiveParts(ctx context.Context, turn uuid.UUID) ([]omni.LivePart, error)
	LivePart(ctx context.Context, id uuid.UUID) (*omni.LivePart, error)
	SettleLive(ctx context.Context, chat, id uuid.UUID, externalID, reason string, deleted bool) error
	ReplaceLive(ctx context.Context, chat, id uuid.UUID, rest bool, reason string) error

	RenewSender(ctx context.Context, chat, unit uuid.UUID, sender string) error
	ReleaseSender(ctx context.Context, chat, unit uuid.UUID, sender string) error
}

// Gateway reaches the session of an instance, wherever it lives. Its errors
// are *channels.SendError.
type Gateway interface {
	Send(ctx context.Context, channelType string, instanceID uuid.UUID, op channels.Operation, out message.Outbound,
		deadline time.Time) (message.Receipt, error)
	// Withdraw says that a key is not to be sent any more, if it was not begun.
	Withdraw(channelType string, instanceID uuid.UUID, key string) error
	// Outcome asks what became of a key: nil if nothing is remembered.
	Outcome(ctx context.Context, channelType string, instanceID uuid.UUID, key string) (*channels.Reply, error)
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

// Observer hears what came of each part that was claimed, and how long that
// took: status is the part's, "queued" where it will be tried again.
type Observer func(ctx context.Context, channelType, status string, took time.Duration)

// Activities implements the step.
type Activities struct {
	Store        Store
	Gateway      Gateway
	Instances    Instances
	Cancels      Cancels
	Capabilities func(channelType string) channels.Capabilities
	Latencies    *omni.Latencies // by channel
	Observe      Observer
	// Replied hears how long a person waited for a whole reply; nil: nobody listens.
	Replied func(ctx context.Context, channelType string, took time.Duration)

	// Owner and Process make the sender's name. Two processes of one owner
	// never live at once.
	Owner, Process string

	senders atomic.Uint64
	kept    kept
}

// Tunables of the step.
const (
	// sendTimeout bounds one hand-over; the gateway does not execute a request
	// after it.
	sendTimeout = 20 * time.Second
	// renewEvery is well below the 15 s of the sender's lease.
	renewEvery = 4 * time.Second
	// busyWithin is how long the step itself waits for another sender.
	busyWithin = 2 * time.Second
	// retryFirst is the first pause after a hand-over that did not happen.
	retryFirst = time.Second
	retryMost  = 30 * time.Second
	// limitedWithin is how much of a platform's wait the step waits out itself.
	limitedWithin = 500 * time.Millisecond
	// atOnce is the pause where the next try will find another truth in the rows.
	atOnce = 20 * time.Millisecond
	// receiptWithin bounds writing down what came of a part.
	receiptWithin = 10 * time.Second
	// typingWithin is how long an indicator is worth showing.
	typingWithin = 3 * time.Second
	// maxResends is how often policy resend risks another bubble of one part.
	maxResends = 3
	// reconnectFirst grows with each try to reconnectMost while no session
	// serves the instance.
	reconnectFirst = 300 * time.Millisecond
	reconnectMost  = 5 * time.Second
)

// delivery is one run of the step.
type delivery struct {
	*Activities
	in      activities.SendInput
	inst    *omni.Instance
	caps    channels.Capabilities
	sender  string
	attempt omni.Attempt
	claimed *omni.PartClaim // a part that was claimed for this run
	began   time.Time       // with the part that is being brought to a receipt
	cut     <-chan struct{} // closed when the turn was cut off: pauses end, a hand-over under way does not
}

func (a *Activities) begin(ctx context.Context, in activities.SendInput) (*delivery, error) {
	inst, err := a.Instances.Get(ctx, in.Turn.InstanceID)
	if err != nil {
		return nil, fmt.Errorf("reading instance %s: %w", in.Turn.InstanceID, err)
	}
	d := &delivery{Activities: a, in: in, inst: inst, caps: a.Capabilities(in.Turn.Channel), attempt: activities.NewAttempt(ctx)}
	if k, ok := a.kept.take(in.Turn); ok && !in.Outbound.Valid {
		d.sender = k.params.Sender
		if k.fresh() {
			d.claimed = &k.claim
		}
	} else {
		d.sender = a.newSender()
	}
	return d, nil
}

func (a *Activities) newSender() string {
	return fmt.Sprintf("%s/%s/%d", a.Owner, a.Process, a.senders.Add(1))
}

// claimParams is the claim of a turn's next part for a sender.
func claimParams(inst *omni.Instance, turn activities.TurnRef, sender string) omni.ClaimParams {
	m := inst.Settings.Messaging
	return omni.ClaimParams{ChatID: turn.ChatID, TurnID: turn.TurnID, WorkflowID: turn.WorkflowID, Epoch: turn.Epoch, Sender: sender,
		TTL: replyTTL(inst), SkipUnknown: m.UnknownPolicy == omni.UnknownSkip, StartedAt: time.Now()}
}

// unit is what the chat's delivery lease names.
func (d *delivery) unit() uuid.UUID {
	if d.in.Outbound.Valid {
		return d.in.Outbound.UUID
	}
	return d.in.Turn.TurnID
}

func (d *delivery) claim(ctx context.Context) (omni.PartClaim, error) {
	if c := d.claimed; c != nil {
		d.claimed = nil
		return *c, nil
	}
	p := claimParams(d.inst, d.in.Turn, d.sender)
	if d.in.Outbound.Valid {
		p.MessageID = d.in.Outbound.UUID
		return d.Store.ClaimOutbound(ctx, p)
	}
	return d.Store.ClaimPart(ctx, p)
}

func (d *delivery) outbound(c omni.PartClaim) message.Outbound {
	return message.Outbound{ID: c.MessageID.String(), Key: c.SendKey(), Kind: message.KindMessage, Chat: c.Chat,
		Content: c.Content, Part: c.Part, ReplyTo: c.ReplyTo}
}

// release gives the leases back when the step ends without having finished its
// unit. It must work after ctx has ended.
func (d *delivery) release(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	// A lease that cannot be given back ends by itself.
	_ = d.Store.ReleaseSender(ctx, d.in.Turn.ChatID, d.unit(), d.sender)
}

// renew keeps the leases while parts are on their way.
func (d *delivery) renew(ctx context.Context) (stop func()) {
	return activities.Repeat(ctx, renewEvery, renewEvery, func() {
		// One that fails is made good by the next, or by the next claim.
		_ = d.Store.RenewSender(ctx, d.in.Turn.ChatID, d.unit(), d.sender)
	})
}
