package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel/propagation"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/message"
)

const (
	defaultSendTimeout = 30 * time.Second
	// answerGrace is how long past the deadline an answer may take: an
	// operation that began in time ends with it, and then still has to say so.
	answerGrace    = time.Second
	outcomeTimeout = 5 * time.Second
)

// Send hands an operation to whoever serves the instance, which does not begin
// it after the deadline (zero: 30 s from now). Every error is a
// *channels.SendError: ErrNotConnected (certain) where nobody serves it,
// ErrUnknown where no answer came in time, else what the session said.
// Operations without a receipt (typing, read, delete, react) return a zero one.
func (b *Bus) Send(ctx context.Context, channelType string, instanceID uuid.UUID, op channels.Operation, out message.Outbound, deadline time.Time) (message.Receipt, error) {
	reply, err := b.operate(ctx, channelType, instanceID, op, out, deadline)
	switch {
	case err != nil:
		return message.Receipt{}, err
	case reply.Receipt == nil:
		return message.Receipt{}, &channels.SendError{Kind: channels.ErrUnknown, Reason: "the channel answered without a receipt"}
	}
	return *reply.Receipt, nil
}

// operate makes a request and waits for its answer, which is no error.
func (b *Bus) operate(ctx context.Context, channelType string, instanceID uuid.UUID, op channels.Operation, out message.Outbound,
	deadline time.Time) (*channels.Reply, error) {
	if deadline.IsZero() {
		deadline = time.Now().Add(defaultSendTimeout)
	}
	if !time.Now().Before(deadline) {
		return nil, notSent(channels.ErrTransient, "the deadline passed before the request was made")
	}
	body, err := json.Marshal(out)
	if err != nil {
		return nil, notSent(channels.ErrRejected, "the message cannot be encoded: "+err.Error())
	}
	msg := nats.NewMsg(channels.Subject(channelType, instanceID.String(), op))
	msg.Data = body
	msg.Header.Set(channels.HeaderDeadline, deadline.UTC().Format(time.RFC3339Nano))
	msg.Header.Set(channels.HeaderKey, out.Key)
	propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(msg.Header))

	waiting, cancel := context.WithDeadline(ctx, deadline.Add(answerGrace))
	defer cancel()
	answer, err := b.conn.RequestMsgWithContext(waiting, msg)
	if err != nil {
		return nil, requestError(err)
	}
	reply, err := readReply(answer.Data)
	switch {
	case err != nil:
		return nil, &channels.SendError{Kind: channels.ErrUnknown, Reason: err.Error()}
	case reply.Error != nil:
		return nil, reply.Error.AsSendError()
	}
	return reply, nil
}

// File asks whoever serves the instance where the bytes of an attachment are,
// by the channel's own handle (zero deadline: 30 s from now). Every error is a
// *channels.SendError. What it returns may hold a secret: it is for one
// download.
func (b *Bus) File(ctx context.Context, channelType string, instanceID uuid.UUID, ref string, deadline time.Time) (channels.FileLocation, error) {
	reply, err := b.operate(ctx, channelType, instanceID, channels.OpFile, message.Outbound{TargetID: ref}, deadline)
	switch {
	case err != nil:
		return channels.FileLocation{}, err
	case reply.File == nil:
		return channels.FileLocation{}, &channels.SendError{Kind: channels.ErrUnknown, Reason: "the channel answered without a place"}
	}
	return *reply.File, nil
}

// Withdraw says that whoever handed the key over has left: a send that was not
// begun is not to be. It is answered to who sent it, as certainly not sent.
func (b *Bus) Withdraw(channelType string, instanceID uuid.UUID, key string) error {
	msg := nats.NewMsg(channels.Subject(channelType, instanceID.String(), channels.OpWithdraw))
	msg.Header.Set(channels.HeaderKey, key)
	if err := b.conn.PublishMsg(msg); err != nil {
		return fmt.Errorf("withdrawing a send: %w", err)
	}
	return nil
}

// Outcome asks the gateway's memory of ten minutes what became of a sent key.
// A send still under way is waited for. nil, nil where nothing is remembered;
// *channels.SendError where nobody could be asked.
func (b *Bus) Outcome(ctx context.Context, channelType string, instanceID uuid.UUID, key string) (*channels.Reply, error) {
	msg := nats.NewMsg(channels.Subject(channelType, instanceID.String(), channels.OpOutcome))
	msg.Header.Set(channels.HeaderKey, key)
	msg.Header.Set(channels.HeaderDeadline, time.Now().Add(outcomeTimeout).UTC().Format(time.RFC3339Nano))
	waiting, cancel := context.WithTimeout(ctx, outcomeTimeout+answerGrace)
	defer cancel()
	answer, err := b.conn.RequestMsgWithContext(waiting, msg)
	if err != nil {
		return nil, requestError(err)
	}
	reply, err := readReply(answer.Data)
	if err != nil {
		return nil, &channels.SendError{Kind: channels.ErrUnknown, Reason: err.Error()}
	}
	if reply.Error == nil && reply.Receipt == nil {
		return nil, nil //nolint:nilnil // documented: nothing is remembered
	}
	return reply, nil
}

func readReply(b []byte) (*channels.Reply, error) {
	var reply channels.Reply
	if err := json.Unmarshal(b, &reply); err != nil {
		return nil, fmt.Errorf("the channel's answer cannot be read: %w", err)
	}
	return &reply, nil
}

func requestError(err error) *channels.SendError {
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		return notSent(channels.ErrNotConnected, "nobody serves this instance")
	case errors.Is(err, nats.ErrMaxPayload):
		return notSent(channels.ErrTooLarge, "the message is larger than NATS takes")
	case errors.Is(err, nats.ErrConnectionClosed), errors.Is(err, nats.ErrInvalidConnection),
		errors.Is(err, nats.ErrReconnectBufExceeded), errors.Is(err, nats.ErrConnectionDraining):
		return notSent(channels.ErrTransient, "NATS is not connected")
	default:
		return &channels.SendError{Kind: channels.ErrUnknown, Reason: "no answer: " + err.Error()}
	}
}

func notSent(kind channels.ErrorKind, reason string) *channels.SendError {
	return &channels.SendError{Kind: kind, Certain: true, Reason: reason}
}
