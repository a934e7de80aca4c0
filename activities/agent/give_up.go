package agent

import (
	"context"
	"errors"
	"fmt"

	"github.com/omnihub/omni/activities"
	"github.com/omnihub/omni/internal/omni"
)

// GiveUp is agent.GiveUp: the failure is recorded with a dead letter, and the
// fallback text, where there is one, becomes the answer.
func (a *Activities) GiveUp(ctx context.Context, in activities.GiveUpInput) (activities.ReplyOutput, error) {
	c := &call{Activities: a, turn: in.Turn, attempt: activities.NewAttempt(ctx)}
	attempts, err := a.attempts(ctx, in)
	if err != nil {
		return activities.ReplyOutput{}, err
	}
	state, parts, err := a.Store.GiveUpTurn(ctx, omni.TurnFailure{ChatID: in.Turn.ChatID, TurnID: in.Turn.TurnID,
		WorkflowID: in.Turn.WorkflowID, Epoch: in.Turn.Epoch, Error: omni.CleanText(in.Error), Kind: in.Type, Attempts: attempts}, c.attempt)
	if err != nil {
		return activities.ReplyOutput{}, err
	}
	if state != string(activities.StateClosed) {
		return activities.ReplyOutput{State: activities.TurnState(state)}, nil
	}
	if parts != nil { // an answer arrived after all
		return c.output(activities.StateClosed, *parts), nil
	}
	c.inst, err = a.Instances.Get(ctx, in.Turn.InstanceID)
	switch {
	case errors.Is(err, omni.ErrNotFound):
		return activities.ReplyOutput{State: activities.StateClosed}, a.settle(ctx, in.Turn)
	case err != nil:
		return activities.ReplyOutput{}, fmt.Errorf("reading instance %s: %w", in.Turn.InstanceID, err)
	}
	if c.inst, err = activities.Answering(ctx, a.Agents, c.inst, in.Turn.Agent); err != nil {
		return activities.ReplyOutput{}, err
	}
	if c.inst.Settings.Agent == nil || c.inst.Settings.Agent.FallbackText == "" {
		return activities.ReplyOutput{State: activities.StateClosed}, a.settle(ctx, in.Turn)
	}
	text := omni.CleanText(c.inst.Settings.Agent.FallbackText)
	fallback := c.parts(text)
	if a.Live != nil && c.inst.Settings.Agent.Streaming {
		if err := a.Live.RetireLive(ctx, in.Turn, fallback); err != nil {
			return activities.ReplyOutput{}, err
		}
	}
	return c.store(ctx, omni.Answer{Text: text, Parts: fallback, Details: map[string]any{"fallback": true}})
}

// settle leaves what was shown of an answer that never became whole.
func (a *Activities) settle(ctx context.Context, turn activities.TurnRef) error {
	if a.Live == nil {
		return nil
	}
	return a.Live.SettleLive(ctx, turn)
}

// attempts counts the calls that failed. Those that might have been repeated
// are in the log; one that never is, is not there yet.
func (a *Activities) attempts(ctx context.Context, in activities.GiveUpInput) (int, error) {
	n, err := a.Store.AgentAttempts(ctx, in.Turn.TurnID)
	if err != nil {
		return 0, err
	}
	if in.Type != "" && !omni.AgentErrorKindOf(in.Error).Retryable() {
		n++
	}
	return max(n, 1), nil
}
