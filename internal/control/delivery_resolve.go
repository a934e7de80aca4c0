package control

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/omnihub/omni/activities"
	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/workflows"
)

// DeliveryWord is what a person knows of a message whose outcome is unknown.
type DeliveryWord struct {
	Outcome    string `json:"outcome" enum:"sent,failed,resend" required:"true" doc:"sent: it arrived; failed: it did not; resend: send it once more, at the risk of a second bubble"`
	ExternalID string `json:"externalId,omitempty" doc:"sent: the platform's id of it, if known" maxLength:"512"`
}

// ResolveDelivery takes a person's word on an outbound message whose outcome
// is unknown. Then its reply goes on with what was held back, or ends.
// not_unknown where it is known meanwhile.
func (m *Messages) ResolveDelivery(ctx context.Context, who *omni.APIKey, id uuid.UUID, word DeliveryWord) (*omni.Message, error) {
	msg, err := m.visible(ctx, who, id)
	if err != nil {
		return nil, err
	}
	if msg.Direction != omni.DirectionOutbound {
		return nil, notUnknown(msg.Status)
	}
	r, err := m.store.ResolveDelivery(ctx, who.TenantID, id, word.Outcome, word.ExternalID)
	if err != nil {
		return nil, orNotFound(err, "message")
	}
	switch r.State {
	case omni.ResolveSettled:
		return nil, notUnknown(r.Status)
	case omni.ResolvePaused:
		return nil, &Error{Kind: KindConflict, Code: CodeChatPaused, Detail: "a person has taken this chat over: resume it first"}
	case omni.ResolveBusy:
		return nil, &Error{Kind: KindConflict, Code: CodeInDelivery, Detail: "other parts of the message are under way: try again"}
	}
	if err := m.goOn(ctx, r); err != nil { // a turn is found by the janitor, a message by Sweep
		m.log.WarnContext(ctx, "going on after a resolved delivery; it is started again within seconds", "message_id", id, "error", err)
	}
	return m.visible(ctx, who, id)
}

func notUnknown(status omni.Status) error {
	return &Error{Kind: KindConflict, Code: CodeNotUnknown,
		Detail: fmt.Sprintf("the message is %s: only where nobody knows its outcome can somebody say it", status)}
}

// goOn starts what follows from a resolution.
func (m *Messages) goOn(ctx context.Context, r *omni.DeliveryResolution) error {
	switch {
	case r.TurnID.Valid:
		return m.engine.StartTurn(ctx, activities.TurnRef{TenantID: r.TenantID, InstanceID: r.InstanceID, Channel: r.Channel,
			ChatID: r.ChatID, TurnID: r.TurnID.UUID, Epoch: r.Epoch, WorkflowID: r.WorkflowID, Leader: r.MessageID,
			Traceparent: r.Traceparent})
	case r.Resumption.Valid:
		return m.resume(ctx, &omni.OutboundResumption{ID: r.Resumption.UUID, TenantID: r.TenantID, InstanceID: r.InstanceID, Channel: r.Channel,
			ChatID: r.ChatID, MessageID: r.MessageID, Parts: r.Parts, Traceparent: r.Traceparent})
	default:
		return nil
	}
}

// resume starts the workflow of a message sent by API that goes on.
func (m *Messages) resume(ctx context.Context, r *omni.OutboundResumption) error {
	err := m.engine.RetryOutbound(ctx, workflows.OutboundInput{TenantID: r.TenantID, InstanceID: r.InstanceID, Channel: r.Channel,
		ChatID: r.ChatID, MessageID: r.MessageID, Parts: r.Parts, Traceparent: r.Traceparent}, r.ID)
	if err != nil {
		return err
	}
	return m.store.MarkResumptionStarted(ctx, r.ID)
}
