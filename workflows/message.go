package workflows

import (
	"time"

	"github.com/google/uuid"
	"go.temporal.io/sdk/workflow"

	"github.com/omnihub/omni/activities"
)

// MessageResult is what a Message workflow returns.
type MessageResult struct {
	Outcome string        `json:"outcome"` // an activities.Outcome constant
	TurnID  uuid.NullUUID `json:"turn_id"`
	Leader  uuid.NullUUID `json:"leader"` // the message whose workflow answers
	Parts   int           `json:"parts,omitempty"`
}

// Message is the whole life of one inbound message: who, whether, when, the
// answer. Read it top to bottom.
func Message(ctx workflow.Context, in MessageInput) (MessageResult, error) {
	ref := activities.MessageRef{TenantID: in.TenantID, InstanceID: in.InstanceID, Channel: in.Channel, ChatID: in.ChatID,
		MessageID: in.MessageID, Seq: in.Seq, Traceparent: in.Traceparent}
	t := turn{ref: activities.TurnRef{TenantID: in.TenantID, InstanceID: in.InstanceID, Channel: in.Channel, ChatID: in.ChatID,
		WorkflowID: workflow.GetInfo(ctx).WorkflowExecution.ID, Leader: in.MessageID, Traceparent: in.Traceparent,
		ReceivedAt: in.ReceivedAt}}

	who, err := activities.Resolve(ctx, activities.ResolveInput{Message: ref})
	if err != nil {
		return MessageResult{}, err
	}
	t.person = who.PersonID
	if who.Outcome != "" {
		return t.again(ctx, who)
	}
	access, err := activities.Check(ctx, activities.CheckInput{Message: ref, PersonID: who.PersonID})
	if err != nil {
		return MessageResult{}, err
	}
	if access.Decision != activities.Allow {
		if access.MediaAnyway && in.MediaCount > 0 {
			if err := fetch(ctx, ref); err != nil {
				return MessageResult{}, err
			}
		}
		return t.end(ctx, activities.OutcomeDenied)
	}
	view, err := activities.Join(ctx, activities.JoinInput{Message: ref, PersonID: who.PersonID, WorkflowID: t.ref.WorkflowID})
	if err == nil && view.Media > 0 {
		view, err = t.attach(ctx, ref, view)
	}
	if err != nil {
		return MessageResult{}, err
	}
	return t.lead(ctx, view)
}

// Turn goes on with a turn whose workflow is gone: from where the rows say it
// stopped.
func Turn(ctx workflow.Context, in activities.TurnRef) (MessageResult, error) {
	t := turn{ref: in}
	view, err := activities.Close(ctx, activities.CloseInput{Turn: in})
	if err != nil {
		return MessageResult{}, err
	}
	return t.lead(ctx, view)
}

// turn is the part of a workflow that leads: what it holds is rebuilt by
// replay, and every call to the database first says what is already true.
type turn struct {
	ref    activities.TurnRef
	person uuid.UUID
	tagged bool // OmniTurn and OmniPerson are set
}

// behindPoll is how often a leader that waits behind another turn looks
// again by itself, should the wake be lost or the other turn's workflow be gone.
const behindPoll = 5 * time.Second

// lead takes the turn from wherever view says it is to its outcome.
func (t *turn) lead(ctx workflow.Context, view activities.TurnView) (MessageResult, error) {
	wake := workflow.GetSignalChannel(ctx, activities.SignalWake)
	for {
		t.adopt(view)
		if view.Interrupt.Valid {
			var err error
			if view, err = activities.Yield(ctx, activities.YieldInput{Turn: t.ref, From: view.Interrupt.UUID}); err != nil {
				return MessageResult{}, err
			}
			continue
		}
		var wait time.Duration
		switch view.State {
		case activities.StateClosed:
			return t.answer(ctx, view)
		case activities.StateLeader, activities.StateWait:
			wait = max(view.Wait, time.Millisecond)
		case activities.StateBehind:
			wait = behindPoll
		case activities.StateFinished:
			return t.finished(ctx, view.Outcome)
		default:
			return t.end(ctx, outcomeOf(view))
		}
		if err := t.tag(ctx); err != nil {
			return MessageResult{}, err
		}
		await(ctx, wake, wait)
		if t.ref.TurnID != uuid.Nil && isLong(ctx) {
			return MessageResult{}, workflow.NewContinueAsNewError(ctx, TypeTurn, t.ref)
		}
		var err error
		if view, err = activities.Close(ctx, activities.CloseInput{Turn: t.ref}); err != nil {
			return MessageResult{}, err
		}
	}
}

// adopt takes over what a view says of the turn this workflow is in.
func (t *turn) adopt(view activities.TurnView) {
	if view.TurnID.Valid {
		t.ref.TurnID, t.ref.Epoch, t.ref.Agent = view.TurnID.UUID, view.Epoch, view.Agent
	}
	if view.Leader.Valid {
		t.ref.Leader = view.Leader.UUID
	}
}

// await waits for the signal or the time, whichever is first. Signals that
// came before are drained: the rows, not the signal, say what to do.
func await(ctx workflow.Context, wake workflow.ReceiveChannel, wait time.Duration) {
	timerCtx, cancel := workflow.WithCancel(ctx)
	defer cancel()
	workflow.NewSelector(ctx).
		AddFuture(workflow.NewTimer(timerCtx, wait), func(workflow.Future) {}).
		AddReceive(wake, func(c workflow.ReceiveChannel, _ bool) {
			for c.ReceiveAsync(nil) {
			}
		}).
		Select(ctx)
}

// answer asks the agent, sends the parts, finishes the turn.
func (t *turn) answer(ctx workflow.Context, view activities.TurnView) (MessageResult, error) {
	reply, err := activities.Reply(ctx, activities.ReplyInput{Turn: t.ref}, view)
	if err == nil && reply.State == activities.StateAwaiting {
		reply, err = t.await(ctx, reply)
	}
	send := activities.SendInput{Turn: t.ref}
	if err != nil {
		if reply, err = t.giveUp(ctx, err); err != nil {
			return MessageResult{}, err
		}
		send.Fallback = true
	}
	if reply.State != activities.StateClosed {
		return t.overtaken(ctx, reply.State)
	}
	if reply.Parts == 0 {
		if send.Fallback {
			return t.finish(ctx, activities.FinishInput{Outcome: activities.OutcomeFailed, Error: "the agent failed"})
		}
		return t.finish(ctx, activities.FinishInput{Outcome: activities.OutcomeNothing})
	}
	sent, err := activities.Send(ctx, send, reply.QuickDelivery)
	if err != nil {
		return t.finish(ctx, activities.FinishInput{Outcome: activities.OutcomeFailed, Error: cause(err),
			DeadLetter: activities.DeliverSend, Attempts: 1})
	}
	return t.sent(ctx, sent)
}

// awaitPoll is how often a turn that waits for its agent looks by itself,
// should the wake be lost.
const awaitPoll = time.Minute

// await waits for the answer of an agent that accepted the turn. It holds
// nothing meanwhile: whoever stores the answer, or ends the turn, wakes it.
func (t *turn) await(ctx workflow.Context, reply activities.ReplyOutput) (activities.ReplyOutput, error) {
	wake := workflow.GetSignalChannel(ctx, activities.SignalWake)
	for reply.State == activities.StateAwaiting {
		if err := t.tag(ctx); err != nil {
			return reply, err
		}
		await(ctx, wake, min(max(reply.Wait, time.Millisecond), awaitPoll))
		var err error
		if reply, err = activities.Await(ctx, activities.AwaitInput{Turn: t.ref}); err != nil {
			return reply, err
		}
	}
	return reply, nil
}

// giveUp records that the agent failed for good. Nothing is silent: a dead
// letter stays, and the fallback text goes out where there is one.
func (t *turn) giveUp(ctx workflow.Context, failure error) (activities.ReplyOutput, error) {
	return activities.GiveUp(ctx, activities.GiveUpInput{Turn: t.ref, Error: cause(failure), Type: causeType(failure)})
}

// sent goes from the delivery's word to the turn's outcome.
func (t *turn) sent(ctx workflow.Context, sent activities.SendOutput) (MessageResult, error) {
	if sent.Finished {
		if err := t.settle(ctx, sent.Wake, sent.FollowUps); err != nil {
			return MessageResult{}, err
		}
		return t.endWith(ctx, sent.Outcome, sent.Sent)
	}
	finish := activities.FinishInput{Outcome: sent.Outcome, Error: sent.Error}
	switch sent.Outcome {
	case activities.OutcomeCancelled, activities.OutcomeAdopted:
		return t.overtaken(ctx, activities.StateCancelled)
	case activities.OutcomeFailed:
		finish.DeadLetter, finish.Attempts = activities.DeliverSend, 1
	}
	return t.finish(ctx, finish)
}

// overtaken ends the workflow of a turn that is no longer its own, or that got
// its outcome elsewhere. The leaders behind are woken all the same: it may
// have been this workflow, before a restart, that gave the outcome.
func (t *turn) overtaken(ctx workflow.Context, state activities.TurnState) (MessageResult, error) {
	if state == activities.StateAdopted {
		return t.end(ctx, activities.OutcomeAdopted)
	}
	return t.finish(ctx, activities.FinishInput{Outcome: outcomeOf(activities.TurnView{State: state})})
}

// finish gives the turn its outcome and wakes who waits behind.
func (t *turn) finish(ctx workflow.Context, in activities.FinishInput) (MessageResult, error) {
	in.Turn = t.ref
	out, err := activities.Finish(ctx, in)
	if err != nil {
		return MessageResult{}, err
	}
	if err := t.settle(ctx, out.Wake, out.FollowUps); err != nil {
		return MessageResult{}, err
	}
	if out.Turn.Valid { // it is found with the turn that answers its message
		t.ref.TurnID, t.ref.Leader, t.tagged = out.Turn.UUID, out.Leader.UUID, false
	}
	return t.end(ctx, out.Outcome)
}

// finished is a turn that has its outcome: only its side effects may be owed.
func (t *turn) finished(ctx workflow.Context, outcome string) (MessageResult, error) {
	if t.ref.TurnID == uuid.Nil {
		return t.end(ctx, outcome)
	}
	return t.finish(ctx, activities.FinishInput{Outcome: outcome})
}

// again is a message that was dealt with before: an old duplicate, or this
// very workflow before a restart.
func (t *turn) again(ctx workflow.Context, who activities.ResolveOutput) (MessageResult, error) {
	if who.Turn.Valid {
		t.ref.TurnID, t.ref.Epoch = who.Turn.UUID, who.Epoch
	}
	return t.finished(ctx, who.Outcome)
}

// settle does what is owed after a turn has its outcome: it wakes who waits
// behind and arms the follow-ups.
func (t *turn) settle(ctx workflow.Context, behind []string, followUps bool) error {
	if len(behind) > 0 {
		if err := activities.Wake(ctx, activities.WakeInput{Workflows: behind}); err != nil {
			return err
		}
	}
	if followUps {
		return activities.Arm(ctx, activities.ArmInput{Turn: t.ref})
	}
	return nil
}

func (t *turn) end(ctx workflow.Context, outcome string) (MessageResult, error) {
	return t.endWith(ctx, outcome, 0)
}

func (t *turn) endWith(ctx workflow.Context, outcome string, parts int) (MessageResult, error) {
	if err := t.tagOutcome(ctx, outcome); err != nil {
		return MessageResult{}, err
	}
	out := MessageResult{Outcome: outcome, Parts: parts}
	if t.ref.TurnID != uuid.Nil {
		out.TurnID = uuid.NullUUID{UUID: t.ref.TurnID, Valid: true}
		out.Leader = uuid.NullUUID{UUID: t.ref.Leader, Valid: true}
	}
	return out, nil
}

// outcomeOf names the outcome of a view that ends a workflow.
func outcomeOf(v activities.TurnView) string {
	switch v.State {
	case activities.StateFollower:
		return activities.OutcomeFollower
	case activities.StatePaused:
		return activities.OutcomePaused
	case activities.StateIgnored:
		return activities.OutcomeIgnored
	case activities.StateAdopted:
		return activities.OutcomeAdopted
	case activities.StateCancelled:
		if v.Outcome == activities.OutcomeInterrupted {
			return v.Outcome
		}
		return activities.OutcomeCancelled
	default:
		return string(v.State)
	}
}
