package turn

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/omnihub/omni/activities"
	"github.com/omnihub/omni/internal/omni"
)

// Join is turn.Join.
func (a *Activities) Join(ctx context.Context, in activities.JoinInput) (activities.TurnView, error) {
	attempt := activities.NewAttempt(ctx)
	base, err := a.instance(ctx, in.Message.InstanceID)
	if err != nil {
		return activities.TurnView{}, err
	}
	m, err := a.Store.InboundMessage(ctx, in.Message.MessageID)
	if err != nil {
		return activities.TurnView{}, err
	}
	inst, agent, err := a.route(ctx, base, omni.RouteSubject{ChatID: in.Message.ChatID, PersonID: in.PersonID, ChatType: m.Facts.ChatType})
	if err != nil {
		return activities.TurnView{}, err
	}
	refusal, err := a.refusal(ctx, inst, m, in.Message.ChatID)
	if err != nil {
		return activities.TurnView{}, err
	}
	p := joinParams(in, inst, agent, refusal, attempt)
	media := len(omni.MediaToFetch(base.Settings.Media, m.Content))
	p.MediaPending = media > 0
	if p.Refuse == string(omni.RefusedReset) {
		v, err := a.Store.ResetByMessage(ctx, p.ChatID, p.MessageID, p.WorkflowID, p.Refuse)
		if err != nil {
			return activities.TurnView{}, err
		}
		return a.view(ctx, v, base)
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
	view, err := a.view(ctx, v, base)
	view.Media = media
	return view, err
}

// route is the instance with the agent that answers a subject, and how a turn
// names that one.
func (a *Activities) route(ctx context.Context, inst *omni.Instance, s omni.RouteSubject) (*omni.Instance, string, error) {
	choice := omni.ChooseAgent(inst, s)
	if choice.Key == "" {
		return inst.AnsweredBy(nil), omni.InstanceAgent, nil
	}
	answering, err := activities.Answering(ctx, a.Agents, inst, choice.Key)
	return answering, choice.Key, err
}

// refusal says why a message is not for us. Whether it answers, or reacts to,
// something of ours is looked up only where it matters and the channel, which
// knows it on some platforms, has not said so.
func (a *Activities) refusal(ctx context.Context, inst *omni.Instance, m *omni.InboundMessage, chat uuid.UUID) (omni.Refusal, error) {
	refusal := omni.Refuse(inst.Settings, m, time.Now())
	if !refusal.LooksAtTarget() || m.TargetExternalID == "" {
		return refusal, nil
	}
	target := *m
	var err error
	if target.Facts.ReplyToMe, err = a.Store.WroteMessage(ctx, inst.ID, chat, m.TargetExternalID); err != nil {
		return "", err
	}
	return omni.Refuse(inst.Settings, &target, time.Now()), nil
}

func joinParams(in activities.JoinInput, inst *omni.Instance, agent string, refusal omni.Refusal, attempt omni.Attempt) omni.JoinParams {
	cfg := inst.Settings.Messaging
	quiet, quietCap := omni.Quiet(cfg, in.Message.MessageID)
	return omni.JoinParams{
		ChatID: in.Message.ChatID, MessageID: in.Message.MessageID, WorkflowID: in.WorkflowID,
		TurnID:     omni.TurnID(in.Message.MessageID, 0),
		SessionKey: omni.SessionKey(agentOf(inst).Session, in.Message.ChatID, in.PersonID), Agent: agent,
		Refuse: string(refusal), Quiet: quiet, QuietCap: quietCap,
		Close: quiet == 0, Interrupt: cfg.WhenBusy == omni.WhenBusyInterrupt, Closing: closingParams(inst), Attempt: attempt,
	}
}

// Close is turn.Close.
func (a *Activities) Close(ctx context.Context, in activities.CloseInput) (activities.TurnView, error) {
	attempt := activities.NewAttempt(ctx)
	base, inst, err := a.answering(ctx, in.Turn)
	if err != nil {
		return activities.TurnView{}, err
	}
	again := func() (omni.TurnView, error) {
		p := closingParams(inst)
		p.Typing = a.typing(ctx, in.Turn.ChatID)
		return a.Store.CloseTurn(ctx, in.Turn.ChatID, in.Turn.TurnID, in.Turn.WorkflowID, in.Turn.Epoch, p, attempt)
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
	return a.view(ctx, v, base)
}

// typing says who types in a chat. Where nobody can tell, nobody does: typing
// only ever puts an answer off.
func (a *Activities) typing(ctx context.Context, chat uuid.UUID) []omni.TypingHold {
	ctx, cancel := context.WithTimeout(ctx, typingWithin)
	defer cancel()
	marks, err := a.Typing.TypingIn(ctx, chat)
	if err != nil {
		return nil
	}
	return omni.TypingHolds(marks, time.Now())
}

// Ready is turn.Ready.
func (a *Activities) Ready(ctx context.Context, in activities.ReadyInput) (activities.ReadyOutput, error) {
	inst, err := a.instance(ctx, in.Message.InstanceID)
	if err != nil {
		return activities.ReadyOutput{}, err
	}
	v, wake, err := a.Store.ReadyTurn(ctx, in.Message.ChatID, in.Message.MessageID, in.WorkflowID)
	if err != nil {
		return activities.ReadyOutput{}, err
	}
	seen, err := a.view(ctx, v, inst)
	if err != nil {
		return activities.ReadyOutput{}, err
	}
	out := activities.ReadyOutput{Turn: seen}
	if wake != "" {
		out.Wake = []string{wake}
	}
	return out, nil
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
	if outcome == activities.OutcomeInterrupted {
		out.Turn, out.Leader, err = a.Store.YieldedTo(ctx, in.Turn.TurnID)
		return out, err
	}
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
