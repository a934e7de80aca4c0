package workflows_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/omnihub/omni/activities"
	"github.com/omnihub/omni/workflows"
)

var busyTurnID = uuid.MustParse("018f0000-0000-8000-8000-000000000004")

func interrupts(from uuid.UUID) any {
	return mock.MatchedBy(func(in activities.YieldInput) bool {
		return in.From == from && in.Turn.TurnID == turnID && in.Turn.Epoch == 1 && in.Turn.WorkflowID == workflows.MessageWorkflowID(messageID)
	})
}

// A leader that is told of a turn to interrupt does that first, whatever it
// waits for itself, and once.
func TestLeaderInterrupts(t *testing.T) {
	t.Parallel()
	for _, state := range []activities.TurnState{activities.StateBehind, activities.StateLeader, activities.StateWait} {
		t.Run(string(state), func(t *testing.T) {
			t.Parallel()
			h := newHands(t)
			started := h.Now()
			h.joins(activities.TurnView{State: state, TurnID: nullID(turnID), Epoch: 1, Wait: time.Hour, Interrupt: nullID(busyTurnID)})
			h.OnActivity(activities.TurnYield, mock.Anything, interrupts(busyTurnID)).Return(closed(true), nil).Once()
			h.OnActivity(activities.AgentReply, mock.Anything, mock.Anything).
				Return(activities.ReplyOutput{State: activities.StateClosed, Parts: 1, QuickDelivery: true}, nil).Once()
			h.OnActivity(activities.DeliverSend, mock.Anything, mock.Anything).
				Return(activities.SendOutput{Outcome: activities.OutcomeAnswered, Finished: true}, nil).Once()
			require.Equal(t, activities.OutcomeAnswered, h.run().Outcome)
			require.Less(t, h.Now().Sub(started), time.Second)
		})
	}
}

// The other turn was past interrupting: the leader waits behind it. With a
// debounce it waits for quiet after the interruption.
func TestLeaderThatInterruptsStillWaits(t *testing.T) {
	t.Parallel()
	for state, wait := range map[activities.TurnState]time.Duration{activities.StateBehind: 5 * time.Second, activities.StateWait: 3 * time.Second} {
		t.Run(string(state), func(t *testing.T) {
			t.Parallel()
			h := newHands(t)
			started := h.Now()
			h.joins(activities.TurnView{State: activities.StateBehind, TurnID: nullID(turnID), Epoch: 1, Interrupt: nullID(busyTurnID)})
			h.OnActivity(activities.TurnYield, mock.Anything, interrupts(busyTurnID)).
				Return(activities.TurnView{State: state, TurnID: nullID(turnID), Epoch: 1, Wait: wait}, nil).Once()
			h.OnActivity(activities.TurnClose, mock.Anything, mock.Anything).
				Return(activities.TurnView{State: activities.StateFinished, TurnID: nullID(turnID), Epoch: 1, Outcome: "answered"}, nil).Once()
			h.OnActivity(activities.TurnFinish, mock.Anything, mock.Anything).
				Return(activities.FinishOutput{Outcome: activities.OutcomeAnswered}, nil).Once()
			require.Equal(t, activities.OutcomeAnswered, h.run().Outcome)
			require.Equal(t, wait, h.Now().Sub(started).Round(time.Second))
		})
	}
}

// The leader of a turn that was interrupted ends with that outcome wherever it
// learns of it: at its agent's call, at the delivery, or when it looks again.
func TestInterruptedLeader(t *testing.T) {
	t.Parallel()
	finish := func(h *hands) {
		h.OnActivity(activities.TurnFinish, mock.Anything, mock.MatchedBy(func(in activities.FinishInput) bool {
			return in.Outcome == activities.OutcomeCancelled && in.DeadLetter == ""
		})).Return(activities.FinishOutput{Outcome: activities.OutcomeInterrupted, Wake: []string{"message/b"}}, nil).Once()
		h.OnActivity(activities.TurnWake, mock.Anything, mock.Anything).Return(struct{}{}, nil).Once()
	}
	for name, at := range map[string]func(*hands){
		"agent": func(h *hands) {
			h.joins(closed(true))
			h.OnActivity(activities.AgentReply, mock.Anything, mock.Anything).Return(activities.ReplyOutput{State: activities.StateCancelled}, nil).Once()
			finish(h)
		},
		"delivery": func(h *hands) {
			h.joins(closed(true))
			h.OnActivity(activities.AgentReply, mock.Anything, mock.Anything).
				Return(activities.ReplyOutput{State: activities.StateClosed, Parts: 2}, nil).Once()
			h.OnActivity(activities.DeliverSend, mock.Anything, mock.Anything).
				Return(activities.SendOutput{Outcome: activities.OutcomeCancelled, Sent: 1}, nil).Once()
			finish(h)
		},
		"close": func(h *hands) {
			h.joins(activities.TurnView{State: activities.StateLeader, TurnID: nullID(turnID), Epoch: 1, Wait: time.Second})
			h.OnActivity(activities.TurnClose, mock.Anything, mock.Anything).Return(activities.TurnView{State: activities.StateCancelled,
				TurnID: nullID(turnID), Epoch: 2, Outcome: activities.OutcomeInterrupted}, nil).Once()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHands(t)
			at(h)
			require.Equal(t, activities.OutcomeInterrupted, h.run().Outcome)
		})
	}
}

// The workflow of a leader that was interrupted is found with the turn that
// answers its message, also where it has said otherwise while it waited.
func TestInterruptedLeaderIsFoundWithItsHeir(t *testing.T) {
	t.Parallel()
	heir, leader := uuid.New(), uuid.New()
	for name, state := range map[string]activities.TurnState{"asked at once": activities.StateClosed, "waited before": activities.StateWait} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHands(t)
			tags := map[string]any{}
			h.OnUpsertTypedSearchAttributes(mock.Anything).Run(func(args mock.Arguments) {
				attributes, ok := args.Get(0).(temporal.SearchAttributes)
				require.True(t, ok)
				for key, value := range attributes.GetUntypedValues() {
					tags[key.GetName()] = value
				}
			}).Return(nil)
			h.joins(activities.TurnView{State: state, TurnID: nullID(turnID), Epoch: 1, Wait: time.Second})
			if state == activities.StateWait {
				h.OnActivity(activities.TurnClose, mock.Anything, mock.Anything).Return(closed(true), nil).Once()
			}
			h.OnActivity(activities.AgentReply, mock.Anything, mock.Anything).
				Return(activities.ReplyOutput{State: activities.StateCancelled}, nil)
			h.OnActivity(activities.TurnFinish, mock.Anything, mock.Anything).
				Return(activities.FinishOutput{Outcome: activities.OutcomeInterrupted, Turn: nullID(heir), Leader: nullID(leader)}, nil).Once()
			out := h.run()
			require.Equal(t, workflows.MessageResult{Outcome: activities.OutcomeInterrupted, TurnID: nullID(heir), Leader: nullID(leader)}, out)
			require.Equal(t, heir.String(), tags["OmniTurn"])
			require.Equal(t, activities.OutcomeInterrupted, tags["OmniOutcome"])
		})
	}
}
