package turn

import (
	"context"
	"fmt"
	"time"

	"github.com/omnihub/omni/activities"
	"github.com/omnihub/omni/internal/omni"
)

// Join is turn.Join.
func (a *Activities) Join(ctx context.Context, in activities.JoinInput) (activities.TurnView, error) {
	attempt := activities.NewAttempt(ctx)
	inst, err := a.instance(ctx, in.Message.InstanceID)
	if err != nil {
		return activities.TurnView{}, err
	}
	m, err := a.Store.InboundMessage(ctx, in.Message.MessageID)
	if err != nil {
		return activities.TurnView{}, err
	}
	p := joinParams(in, inst, m, attempt)
	if p.Refuse == string(omni.RefusedReset) {
		v, err := a.Store.ResetByMessage(ctx, p.ChatID, p.MessageID, p.WorkflowID, p.Refuse)
		return a.view(ctx, v, inst), err
	}
	v, err := a.Store.JoinTurn(ctx, p)
	if err != nil {
		return activities.TurnView{}, err
	}
	v, err = settle(ctx, v, func() (omni.TurnView, error) { return a.Store.JoinTurn(ctx, p) })
	if err != nil {
		return activities.TurnView{}, err
	}
	if v.Suspect.Valid {
		if _, err := a.adopt(ctx, v.Suspect, 1); err != nil {
			return activities.TurnView{}, err
		}
	}
	return a.view(ctx, v, inst), nil
}

func joinParams(in activities.JoinInput, inst *omni.Instance, m *omni.InboundMessage, attempt omni.Attempt) omni.JoinParams {
	cfg := inst.Settings.Messaging
	quiet, quietCap := omni.Quiet(cfg, in.Message.MessageID)
	return omni.JoinParams{
		ChatID: in.Message.ChatID, MessageID: in.Message.MessageID, WorkflowID: in.WorkflowID,
		TurnID:     omni.TurnID(in.Message.MessageID, 0),
		SessionKey: omni.SessionKey(agentOf(inst).Session, in.Message.ChatID, in.PersonID), Agent: "instance",
		Refuse: string(omni.Refuse(inst.Settings, m, time.Now())), Quiet: quiet, QuietCap: quietCap,
		// Attachments are recorded, not processed, so nothing is pending.
		Close: quiet == 0, Interrupt: cfg.WhenBusy == omni.WhenBusyInterrupt, Closing: closingParams(inst), Attempt: attempt,
	}
}

// Close is turn.Close.
func (a *Activities) Close(ctx context.Context, in activities.CloseInput) (activities.TurnView, error) {
	attempt := activities.NewAttempt(ctx)
	inst, err := a.instance(ctx, in.Turn.InstanceID)
	if err != nil {
		return activities.TurnView{}, err
	}
	again := func() (omni.TurnView, error) {
		return a.Store.CloseTurn(ctx, in.Turn.ChatID, in.Turn.TurnID, in.Turn.WorkflowID, in.Turn.Epoch, closingParams(inst), attempt)
	}
	v, err := again()
	if err != nil {
		return activities.TurnView{}, err
	}
	if v, err = settle(ctx, v, again); err != nil {
		return activities.TurnView{}, err
	}
	if v.Suspect.Valid {
		if _, err := a.adopt(ctx, v.Suspect, 1); err != nil {
			return activities.TurnView{}, err
		}
	}
	return a.view(ctx, v, inst), nil
}

// Finish is turn.Finish.
func (a *Activities) Finish(ctx context.Context, in activities.FinishInput) (activities.FinishOutput, error) {
	p := omni.FinishParams{ChatID: in.Turn.ChatID, TurnID: in.Turn.TurnID, WorkflowID: in.Turn.WorkflowID, Epoch: in.Turn.Epoch,
		Outcome: in.Outcome, Error: in.Error, DeadLetter: in.DeadLetter, Attempts: in.Attempts, Attempt: activities.NewAttempt(ctx)}
	outcome, wake, err := a.Store.FinishTurn(ctx, p)
	if err != nil {
		return activities.FinishOutput{}, err
	}
	out := activities.FinishOutput{Outcome: outcome, Wake: wake}
	if outcome == activities.OutcomeAnswered {
		inst, err := a.instance(ctx, in.Turn.InstanceID)
		if err != nil {
			return activities.FinishOutput{}, err
		}
		out.FollowUps = len(inst.Settings.Messaging.FollowUps) > 0
	}
	return out, nil
}

// Wake is turn.Wake.
func (a *Activities) Wake(ctx context.Context, in activities.WakeInput) (struct{}, error) {
	for _, id := range in.Workflows {
		if err := a.Engine.Signal(ctx, id, activities.SignalWake); err != nil {
			return struct{}{}, fmt.Errorf("waking %s: %w", id, err)
		}
	}
	return struct{}{}, nil
}
