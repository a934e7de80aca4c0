package agent

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/omnihub/omni/activities"
	"github.com/omnihub/omni/internal/omni"
)

// AwaitStore is what is needed of the database for agents that answer later.
type AwaitStore interface {
	// AskTurn opens the turn for an answer by the agent's own call; false: it is
	// no longer the caller's, or it is answered.
	AskTurn(ctx context.Context, turn uuid.UUID, workflowID string, epoch int, within time.Duration) (bool, error)
	AwaitTurn(ctx context.Context, chat, turn uuid.UUID, workflowID string, epoch int) (omni.TurnWait, error)
}

// Await is agent.Await.
func (a *Activities) Await(ctx context.Context, in activities.AwaitInput) (activities.ReplyOutput, error) {
	c := &call{Activities: a, turn: in.Turn, attempt: activities.NewAttempt(ctx)}
	return c.await(ctx)
}

// mayAnswerLater reports whether an answer by a call of the agent's own is to
// be taken from the moment on that it is asked.
func (c *call) mayAnswerLater() bool { return c.agent.Provider == omni.ProviderWebhook }

// await says whether the promised answer has come. The agent is not asked
// again: it has taken the turn, and most likely works on it.
func (c *call) await(ctx context.Context) (activities.ReplyOutput, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second) // what was accepted is written down
	defer cancel()
	w, err := c.Store.AwaitTurn(ctx, c.turn.ChatID, c.turn.TurnID, c.turn.WorkflowID, c.turn.Epoch)
	switch {
	case err != nil:
		return activities.ReplyOutput{}, err
	case w.State == omni.TurnLate:
		return activities.ReplyOutput{}, finalError(&omni.AgentError{Kind: omni.AgentTransient, Status: 202,
			Reason: "it accepted the turn, and sent no reply in its time"})
	case w.State == string(activities.StateClosed) && w.Parts != nil:
		return c.output(activities.StateClosed, *w.Parts), nil
	default:
		return activities.ReplyOutput{State: activities.TurnState(w.State), Wait: w.Wait}, nil
	}
}
