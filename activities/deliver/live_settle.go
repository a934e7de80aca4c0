package deliver

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/omnihub/omni/activities"
	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
)

// SettleLive ends the live parts of a turn whose answer nobody will finish:
// what people saw of it stays, and its rows say so.
func (a *Activities) SettleLive(ctx context.Context, turn activities.TurnRef) error {
	parts, err := a.Store.LiveParts(ctx, turn.TurnID)
	if err != nil {
		return err
	}
	for _, p := range parts {
		if err := a.settleLive(ctx, turn, &p); err != nil {
			return err
		}
	}
	return nil
}

func (a *Activities) settleLive(ctx context.Context, turn activities.TurnRef, p *omni.LivePart) error {
	switch {
	case p.Queued: // it was never sent, and ends with its turn
		return nil
	case p.ExternalID != "":
		return a.Store.SettleLive(ctx, turn.ChatID, p.MessageID, "", "", false)
	}
	status, reason := omni.StatusUnknown, "a former sender may have sent it"
	receipt, refused := a.remembered(ctx, turn, p.MessageID.String())
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case receipt != nil:
		return a.Store.SettleLive(ctx, turn.ChatID, p.MessageID, receipt.ExternalID, "", false)
	case refused != nil:
		status, reason = omni.StatusCancelled, refused.Error()
	}
	_, _, err := a.Store.ReceiptPart(ctx, omni.ReceiptParams{ChatID: turn.ChatID, MessageID: p.MessageID, Status: string(status), Error: reason,
		TurnID: uuid.NullUUID{UUID: turn.TurnID, Valid: true}, WorkflowID: turn.WorkflowID, Epoch: turn.Epoch,
		Attempt: omni.Attempt{StartedAt: time.Now(), Number: 1}})
	return err
}

// RetireLive takes back what is shown of a turn beyond its answer: a part that
// the answer has not, or that is no text in it. What cannot be taken back
// stays, and AnswerTurn says so.
func (a *Activities) RetireLive(ctx context.Context, turn activities.TurnRef, answer []message.Content) error {
	parts, err := a.Store.LiveParts(ctx, turn.TurnID)
	if err != nil {
		return err
	}
	for _, p := range parts {
		if p.ExternalID == "" || p.Index < len(answer) && answer[p.Index].Type == message.TypeText {
			continue
		}
		if a.takeBack(ctx, turn, &p) != nil {
			continue
		}
		if err := a.Store.SettleLive(ctx, turn.ChatID, p.MessageID, "", "taken back: the answer became another one", true); err != nil {
			return err
		}
	}
	return nil
}
