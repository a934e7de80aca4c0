package workflows_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/activities"
	"github.com/omnihub/omni/workflows"
)

var followedID = uuid.MustParse("018f0000-0000-8000-8000-000000000004")

// runFollowUp runs a FollowUp workflow and returns what it said and how long
// it took on the workflow's clock.
func (h *hands) runFollowUp() (workflows.MessageResult, time.Duration) {
	h.t.Helper()
	began := h.Now()
	h.ExecuteWorkflow(workflows.TypeFollowUp, activities.FollowUpInput{TenantID: "default", Channel: "custom", TurnID: followedID, N: 1,
		Leader: messageID})
	require.True(h.t, h.IsWorkflowCompleted())
	require.NoError(h.t, h.GetWorkflowError())
	var out workflows.MessageResult
	require.NoError(h.t, h.GetWorkflowResult(&out))
	h.AssertExpectations(h.t)
	return out, h.Now().Sub(began)
}

func (h *hands) claims(views ...activities.TurnView) {
	for _, v := range views {
		h.OnActivity(activities.FollowUpClaim, mock.Anything, mock.MatchedBy(func(in activities.ClaimInput) bool {
			return in.FollowUp.TurnID == followedID && in.FollowUp.N == 1
		})).Return(v, nil).Once()
	}
}

func TestFollowUpIsATurn(t *testing.T) {
	t.Parallel()
	h := newHands(t)
	h.claims(closed(true))
	h.OnActivity(activities.AgentReply, mock.Anything, mock.MatchedBy(func(in activities.ReplyInput) bool { return in.Turn.TurnID == turnID })).
		Return(activities.ReplyOutput{State: activities.StateClosed, Parts: 1, QuickDelivery: true}, nil).Once()
	h.OnActivity(activities.DeliverSend, mock.Anything, mock.Anything).
		Return(activities.SendOutput{Outcome: activities.OutcomeAnswered, Sent: 1, Finished: true}, nil).Once()
	out, _ := h.runFollowUp()
	require.Equal(t, activities.OutcomeAnswered, out.Outcome)
	require.Equal(t, turnID, out.TurnID.UUID)
	require.Equal(t, messageID, out.Leader.UUID)
}

func TestFollowUpThatIsCancelledSendsNothing(t *testing.T) {
	t.Parallel()
	h := newHands(t)
	h.claims(activities.TurnView{State: activities.StateCancelled})
	out, took := h.runFollowUp()
	require.Equal(t, activities.OutcomeCancelled, out.Outcome)
	require.Zero(t, took)
}

// Withdrawn at its first part: the turn has its outcome, and whoever waits
// behind it is woken.
func TestFollowUpThatIsWithdrawnWakesWhoWaits(t *testing.T) {
	t.Parallel()
	h := newHands(t)
	h.claims(closed(true))
	h.OnActivity(activities.AgentReply, mock.Anything, mock.Anything).
		Return(activities.ReplyOutput{State: activities.StateClosed, Parts: 1, QuickDelivery: true}, nil).Once()
	h.OnActivity(activities.DeliverSend, mock.Anything, mock.Anything).
		Return(activities.SendOutput{Outcome: activities.OutcomeCancelled}, nil).Once()
	h.OnActivity(activities.TurnFinish, mock.Anything, mock.Anything).
		Return(activities.FinishOutput{Outcome: activities.OutcomeCancelled, Wake: []string{"message/b"}}, nil).Once()
	h.OnActivity(activities.TurnWake, mock.Anything, activities.WakeInput{Workflows: []string{"message/b"}}).Return(struct{}{}, nil).Once()
	out, _ := h.runFollowUp()
	require.Equal(t, activities.OutcomeCancelled, out.Outcome)
}

// Woken before its time, it waits out the rest; behind another follow-up of the
// chat it asks again.
func TestFollowUpWaits(t *testing.T) {
	t.Parallel()
	h := newHands(t)
	h.claims(activities.TurnView{State: activities.StateWait, Wait: 23 * time.Hour}, activities.TurnView{State: activities.StateBehind},
		activities.TurnView{State: activities.StateBehind}, activities.TurnView{State: activities.StateCancelled})
	out, took := h.runFollowUp()
	require.Equal(t, activities.OutcomeCancelled, out.Outcome)
	require.Equal(t, 23*time.Hour+10*time.Second, took)
}

// What an answered turn owes is armed by the workflow's last step, whichever
// step gave the outcome, and also where this is said to a second run.
func TestAnsweredTurnArmsItsFollowUps(t *testing.T) {
	t.Parallel()
	t.Run("by the last receipt", func(t *testing.T) {
		t.Parallel()
		h := newHands(t)
		h.joins(closed(true))
		h.OnActivity(activities.AgentReply, mock.Anything, mock.Anything).
			Return(activities.ReplyOutput{State: activities.StateClosed, Parts: 1, QuickDelivery: true}, nil)
		h.OnActivity(activities.DeliverSend, mock.Anything, mock.Anything).
			Return(activities.SendOutput{Outcome: activities.OutcomeAnswered, Sent: 1, Finished: true, FollowUps: true, Wake: []string{"message/b"}}, nil)
		h.armsLast()
		require.Equal(t, activities.OutcomeAnswered, h.run().Outcome)
	})
	t.Run("by a former run", func(t *testing.T) {
		t.Parallel()
		h := newHands(t)
		h.who = activities.ResolveOutput{PersonID: personID, Outcome: "answered", Turn: nullID(turnID), Epoch: 1}
		h.OnActivity(activities.TurnFinish, mock.Anything, mock.Anything).
			Return(activities.FinishOutput{Outcome: activities.OutcomeAnswered, FollowUps: true, Wake: []string{"message/b"}}, nil).Once()
		h.armsLast()
		require.Equal(t, activities.OutcomeAnswered, h.run().Outcome)
	})
}

// armsLast expects the leaders behind to be woken before the follow-ups are
// armed: somebody waits for the one, nobody for the other.
func (h *hands) armsLast() {
	woken := false
	h.OnActivity(activities.TurnWake, mock.Anything, mock.Anything).
		Return(func(context.Context, activities.WakeInput) (struct{}, error) { woken = true; return struct{}{}, nil }).Once()
	h.OnActivity(activities.FollowUpArm, mock.Anything, mock.MatchedBy(func(in activities.ArmInput) bool { return in.Turn.TurnID == turnID })).
		Return(func(context.Context, activities.ArmInput) (struct{}, error) {
			require.True(h.t, woken)
			return struct{}{}, nil
		}).Once()
}
