package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/omnihub/omni/activities"
	"github.com/omnihub/omni/workflows"
)

func awaits(h *hands, left time.Duration) {
	h.joins(closed(true))
	h.OnActivity(activities.AgentReply, mock.Anything, mock.Anything).
		Return(activities.ReplyOutput{State: activities.StateAwaiting, Wait: left}, nil).Once()
}

func (h *hands) looks(out activities.ReplyOutput, err error) {
	h.OnActivity(activities.AgentAwait, mock.Anything, mock.MatchedBy(func(in activities.AwaitInput) bool {
		return in.Turn.TurnID == turnID && in.Turn.Epoch == 1 && in.Turn.WorkflowID == workflows.MessageWorkflowID(messageID)
	})).Return(out, err).Once()
}

// An agent that answers later holds nothing but the workflow: it sleeps until
// it is woken, and looks by itself once a minute.
func TestLaterAnswer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		wakeAfter time.Duration
		looks     int
		took      time.Duration
	}{
		"woken":                {20 * time.Second, 1, 20 * time.Second},
		"woken twice too soon": {0, 3, 3 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHands(t)
			started := h.Now()
			awaits(h, time.Hour)
			if c.wakeAfter > 0 {
				h.RegisterDelayedCallback(func() { h.SignalWorkflow(activities.SignalWake, nil) }, c.wakeAfter)
			}
			for range c.looks - 1 {
				h.looks(activities.ReplyOutput{State: activities.StateAwaiting, Wait: time.Hour}, nil)
			}
			h.looks(activities.ReplyOutput{State: activities.StateClosed, Parts: 1, QuickDelivery: true}, nil)
			h.OnActivity(activities.DeliverSend, mock.Anything, mock.Anything).
				Return(activities.SendOutput{Outcome: activities.OutcomeAnswered, Finished: true}, nil).Once()
			require.Equal(t, activities.OutcomeAnswered, h.run().Outcome)
			require.Equal(t, c.took, h.Now().Sub(started).Round(time.Second))
			h.AssertExpectations(t)
		})
	}
}

// The agent's time is over: a failure like any other, and the fallback goes out.
func TestLaterAnswerThatNeverCame(t *testing.T) {
	t.Parallel()
	h := newHands(t)
	awaits(h, 10*time.Second)
	h.looks(activities.ReplyOutput{}, temporal.NewNonRetryableApplicationError("transient (202): no reply", activities.ErrTypeAgentTransient, nil))
	h.OnActivity(activities.AgentGiveUp, mock.Anything, mock.MatchedBy(func(in activities.GiveUpInput) bool {
		return in.Type == activities.ErrTypeAgentTransient && in.Error == "transient (202): no reply"
	})).Return(activities.ReplyOutput{State: activities.StateClosed, Parts: 1}, nil).Once()
	h.OnActivity(activities.DeliverSend, mock.Anything, mock.MatchedBy(func(in activities.SendInput) bool { return in.Fallback })).
		Return(activities.SendOutput{Outcome: activities.OutcomeFallback, Finished: true}, nil).Once()
	require.Equal(t, activities.OutcomeFallback, h.run().Outcome)
	h.AssertExpectations(t)
}

// A takeover, or an interruption, ends the wait.
func TestLaterAnswerOfACancelledTurn(t *testing.T) {
	t.Parallel()
	h := newHands(t)
	started := h.Now()
	awaits(h, time.Hour)
	h.RegisterDelayedCallback(func() { h.SignalWorkflow(activities.SignalWake, nil) }, time.Second)
	h.looks(activities.ReplyOutput{State: activities.StateCancelled}, nil)
	h.OnActivity(activities.TurnFinish, mock.Anything, mock.Anything).Return(activities.FinishOutput{Outcome: activities.OutcomeCancelled}, nil).Once()
	require.Equal(t, activities.OutcomeCancelled, h.run().Outcome)
	require.Equal(t, time.Second, h.Now().Sub(started))
}
