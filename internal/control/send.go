package control

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/propagation"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/workflows"
)

// SendRequest asks for a message to be sent: to a platform's chat (To), to a
// chat we know (ChatID), or to a person (PersonID), whose account is then picked.
type SendRequest struct {
	InstanceID *uuid.UUID      `json:"instanceId,omitempty" format:"uuid" doc:"who sends; may be left out with chatId, and with personId (then: of the account that they prefer, or used last)"`
	To         string          `json:"to,omitempty" doc:"the platform's own chat id (or user id, or phone, where that opens a chat)" maxLength:"512"`
	ChatID     *uuid.UUID      `json:"chatId,omitempty" format:"uuid" doc:"a chat of this hub"`
	PersonID   *uuid.UUID      `json:"personId,omitempty" format:"uuid" doc:"a person of this hub"`
	Content    message.Content `json:"content" required:"true"`
	ReplyTo    *uuid.UUID      `json:"replyTo,omitempty" format:"uuid" doc:"the message this one answers"`
	SendAt     *time.Time      `json:"sendAt,omitempty" doc:"when to send it; absent or past: now"`
}

// SendOptions are what is said beside the request.
type SendOptions struct {
	Key  string        // idempotency key, "" for none
	Wait time.Duration // how long to wait for the outcome, at most a minute
}

// Sent is the answer to a SendRequest.
type Sent struct {
	ID     uuid.UUID `json:"id" format:"uuid" required:"true"`
	ChatID uuid.UUID `json:"chatId" format:"uuid"`

	// Where it goes, as picked where a person was named.
	InstanceID uuid.UUID `json:"instanceId" format:"uuid"`
	To         string    `json:"to" doc:"the platform's own id of the chat"`

	Status   omni.Status `json:"status" enum:"queued,scheduled,sending,sent,delivered,read,failed,unknown,expired,cancelled" required:"true"`
	Repeated bool        `json:"repeated,omitempty" doc:"the Idempotency-Key had been used for the same request"`
}

// SendStore is what sending needs of the store.
type SendStore interface {
	instanceReader
	Message(ctx context.Context, tenant string, id uuid.UUID) (*omni.Message, error)
	Chat(ctx context.Context, tenant string, id uuid.UUID) (*omni.Chat, error)
	Person(ctx context.Context, tenant string, id uuid.UUID) (*omni.Person, error)
	PersonAddresses(ctx context.Context, tenant string, person uuid.UUID) ([]omni.PersonAddress, error)
	AcceptOutbound(ctx context.Context, d omni.OutboundDraft) (*omni.OutboundAccepted, error)
	MarkOutboundStarted(ctx context.Context, tenant string, id uuid.UUID) error
	UnstartedOutbound(ctx context.Context, olderThan time.Duration, limit int) ([]omni.OutboundAccepted, error)
	ForgetIdempotencyKeys(ctx context.Context) (int64, error)
	CancelScheduled(ctx context.Context, tenant string, id uuid.UUID) error
	// ResolveDelivery takes a person's word on an unknown outcome.
	ResolveDelivery(ctx context.Context, tenant string, id uuid.UUID, outcome, externalID string) (*omni.DeliveryResolution, error)
	// ReleaseOutbound returns messages that go on, older than that, whose
	// workflow is not known to exist.
	ReleaseOutbound(ctx context.Context, olderThan time.Duration, limit int) ([]omni.OutboundResumption, error)
	MarkResumptionStarted(ctx context.Context, id uuid.UUID) error
}

// Engine starts the workflow of an accepted message. Starting it again is no
// error and changes nothing.
type Engine interface {
	RetryEngine
	StartOutbound(ctx context.Context, in workflows.OutboundInput, delay time.Duration) error
	// CancelOutbound ends the workflow of a scheduled message whose row is
	// cancelled already; it only tidies up.
	CancelOutbound(ctx context.Context, tenant string, messageID uuid.UUID) error
}

const (
	maxWait         = time.Minute
	maxWaiting      = 500 // callers of this process who wait for an outcome
	maxKeyLength    = 255
	maxScheduleDays = 3660
)

// Send stores a message and starts its delivery. The same key with the same
// request gives the first answer again, with another one
// idempotency_key_reused. An instance that was disconnected by call takes only
// what is for later: instance_disconnected. Once stored the message will be sent: should the
// engine be away, Sweep starts it later.
func (m *Messages) Send(ctx context.Context, who *omni.APIKey, req SendRequest, opt SendOptions) (*Sent, error) {
	d, err := m.draft(ctx, who, req, opt.Key)
	if err != nil {
		return nil, err
	}
	acc, err := m.store.AcceptOutbound(ctx, *d)
	if err == nil && !who.Sees(acc.InstanceID) { // the key was used by somebody who sees more
		err = omni.ErrKeyReused
	}
	if errors.Is(err, omni.ErrKeyReused) {
		return nil, &Error{
			Kind: KindInvalid, Code: CodeKeyReused,
			Detail: "this Idempotency-Key was used for another request within the last 24 hours",
		}
	}
	if errors.Is(err, omni.ErrDisconnected) {
		return nil, &Error{
			Kind: KindUnavailable, Code: CodeDisconnected,
			Detail: "the instance is disconnected: connect it, or say by sendAt when to send",
		}
	}
	if err != nil {
		return nil, err
	}
	if !acc.Started {
		if err := m.start(ctx, acc); err != nil {
			m.log.WarnContext(ctx, "starting a delivery; it is started again within seconds", "message_id", acc.MessageID, "error", err)
		}
	}
	out := &Sent{ID: acc.MessageID, ChatID: acc.ChatID, InstanceID: acc.InstanceID, To: acc.To, Status: acc.Status, Repeated: acc.Repeated}
	if opt.Wait > 0 && acc.Status != omni.StatusScheduled {
		out.Status, err = m.awaitOutcome(ctx, who.TenantID, acc, min(opt.Wait, maxWait))
	}
	return out, err
}

// Sweep starts the deliveries of messages whose start was missed, or that go
// on. It is called every few seconds by one process or several.
func (m *Messages) Sweep(ctx context.Context) error {
	const grace, batch = 5 * time.Second, 100
	late, err := m.store.UnstartedOutbound(ctx, grace, batch)
	if err != nil {
		return err
	}
	var failed []error
	for i := range late {
		if err := m.start(ctx, &late[i]); err != nil {
			failed = append(failed, err)
		}
	}
	released, err := m.store.ReleaseOutbound(ctx, grace, batch)
	failed = append(failed, err)
	for i := range released {
		failed = append(failed, m.resume(ctx, &released[i]))
	}
	return errors.Join(failed...)
}

// ForgetKeys drops idempotency keys that are over; to be called hourly.
func (m *Messages) ForgetKeys(ctx context.Context) error {
	_, err := m.store.ForgetIdempotencyKeys(ctx)
	return err
}

// Cancel ends a scheduled message before its time.
func (m *Messages) Cancel(ctx context.Context, who *omni.APIKey, id uuid.UUID) error {
	if _, err := m.visible(ctx, who, id); err != nil {
		return err
	}
	err := m.store.CancelScheduled(ctx, who.TenantID, id)
	if errors.Is(err, omni.ErrNotScheduled) {
		msg, err := m.visible(ctx, who, id) // as it is now: it may have begun just then
		if err != nil {
			return err
		}
		return &Error{
			Kind: KindConflict, Code: CodeNotScheduled,
			Detail: fmt.Sprintf("the message is %s: only a scheduled one can be cancelled", msg.Status),
		}
	}
	if err != nil {
		return err
	}
	if err := m.engine.CancelOutbound(ctx, who.TenantID, id); err != nil {
		m.log.WarnContext(ctx, "ending the workflow of a cancelled message; it ends by itself in time", "message_id", id, "error", err)
	}
	return nil
}

// draft turns a request into what is stored.
func (m *Messages) draft(ctx context.Context, who *omni.APIKey, req SendRequest, key string) (*omni.OutboundDraft, error) {
	if err := checkKey(key); err != nil {
		return nil, err
	}
	// Hashed before anything is resolved: "the person's last chat" may be
	// another one when the request is repeated.
	body, err := json.Marshal(req)
	if err != nil {
		return nil, fmt.Errorf("encoding a request: %w", err)
	}
	t, err := m.target(ctx, who, &req)
	if err != nil {
		return nil, err
	}
	ch, ok := channels.Lookup(t.instance.Channel)
	if !ok {
		return nil, &Error{
			Kind: KindUnavailable, Code: CodeUnavailable,
			Detail: "channel " + t.instance.Channel + " is not part of this hub",
		}
	}
	if err := checkContent(t.instance.Channel, ch.Info().Capabilities, &req.Content); err != nil {
		return nil, err
	}
	parts, err := partsOf(t.instance.Channel, ch.Info().Capabilities, req.Content)
	if err != nil {
		return nil, err
	}
	d := &omni.OutboundDraft{
		TenantID: who.TenantID, InstanceID: t.instance.ID, Channel: t.instance.Channel, Chat: t.chat,
		PersonID: t.person, Content: parts[0], Rest: parts[1:], Traceparent: traceparent(ctx),
	}
	if err := m.replyTo(ctx, who, req.ReplyTo, d); err != nil {
		return nil, err
	}
	if err := schedule(req.SendAt, d); err != nil {
		return nil, err
	}
	if t.instance.Disabled && d.SendAt == nil {
		d.Refuse = omni.ErrDisconnected
	}
	if key == "" {
		key = uuid.NewString()
	}
	d.ID = omni.OutboundID(who.TenantID, key)
	keyHash, bodyHash := sha256.Sum256([]byte(key)), sha256.Sum256(body)
	d.KeyHash, d.BodyHash = keyHash[:], bodyHash[:]
	return d, nil
}

func checkKey(key string) error {
	if len(key) > maxKeyLength {
		return invalid("Idempotency-Key", fmt.Sprintf("is longer than %d bytes", maxKeyLength))
	}
	for _, r := range key {
		if !unicode.IsPrint(r) {
			return invalid("Idempotency-Key", "must be printable")
		}
	}
	return nil
}

func schedule(at *time.Time, d *omni.OutboundDraft) error {
	now := time.Now()
	if at == nil || !at.After(now) {
		return nil
	}
	if at.After(now.AddDate(0, 0, maxScheduleDays)) {
		return invalid("sendAt", fmt.Sprintf("must be within %d days", maxScheduleDays))
	}
	utc := at.UTC()
	d.SendAt = &utc
	return nil
}

// replyTo finds the platform's id of the message that is answered.
func (m *Messages) replyTo(ctx context.Context, who *omni.APIKey, id *uuid.UUID, d *omni.OutboundDraft) error {
	if id == nil {
		if d.Content.Type == message.TypeReaction {
			return invalid("replyTo", "is required: the message to react to")
		}
		return nil
	}
	msg, err := m.store.Message(ctx, who.TenantID, *id)
	if errors.Is(err, omni.ErrNotFound) || err == nil && msg.ChatID != omni.ChatID(d.InstanceID, d.Chat.ID) {
		return invalid("replyTo", "is not a message of this chat")
	}
	if err != nil {
		return err
	}
	if msg.ExternalID == "" {
		return invalid("replyTo", "was not sent yet: the platform has no id for it")
	}
	d.ReplyTo, d.ReplyToExt = id, msg.ExternalID
	return nil
}

// start makes sure that the message's workflow exists, and notes it.
func (m *Messages) start(ctx context.Context, acc *omni.OutboundAccepted) error {
	var delay time.Duration
	if acc.SendAt != nil {
		delay = max(time.Until(*acc.SendAt), 0)
	}
	in := workflows.OutboundInput{
		TenantID: acc.TenantID, InstanceID: acc.InstanceID, Channel: acc.Channel,
		ChatID: acc.ChatID, MessageID: acc.MessageID, Traceparent: acc.Traceparent,
	}
	if acc.Parts > 1 {
		in.Parts = acc.Parts
	}
	if err := m.engine.StartOutbound(ctx, in, delay); err != nil {
		return fmt.Errorf("starting the delivery of message %s: %w", acc.MessageID, err)
	}
	return m.store.MarkOutboundStarted(ctx, acc.TenantID, acc.MessageID)
}

// awaitOutcome reads the message, one part after the other, until it is settled
// or the time is over; the first part that was not sent settles it. The rows
// are the truth, whichever process sends; the first looks are close together
// because most sends take milliseconds.
func (m *Messages) awaitOutcome(ctx context.Context, tenant string, acc *omni.OutboundAccepted, atMost time.Duration) (omni.Status, error) {
	select {
	case m.waiting <- struct{}{}:
		defer func() { <-m.waiting }()
	default:
		return acc.Status, nil // too many wait already: each of them asks the database again and again
	}
	end := time.NewTimer(atMost)
	defer end.Stop()
	status, part := acc.Status, 0
	for pause := 10 * time.Millisecond; ; pause = min(pause*2, 250*time.Millisecond) {
		if status.Settled() {
			if part++; part >= acc.Parts || !status.Out() {
				return status, nil
			}
		}
		next := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			next.Stop()
			return status, nil
		case <-end.C:
			next.Stop()
			return status, nil
		case <-next.C:
		}
		msg, err := m.store.Message(ctx, tenant, omni.OutboundPartID(acc.MessageID, part))
		if err != nil {
			return status, err
		}
		status = msg.Status
	}
}

func traceparent(ctx context.Context) string {
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	return carrier.Get("traceparent")
}
