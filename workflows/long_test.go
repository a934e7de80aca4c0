package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/workflow"

	"github.com/omnihub/omni/activities"
	"github.com/omnihub/omni/workflows"
)

// goesOn is what a workflow that begins a new history hands on.
func (h *hands) goesOn(into any) (workflowType string) {
	h.t.Helper()
	require.True(h.t, h.IsWorkflowCompleted())
	var again *workflow.ContinueAsNewError
	require.ErrorAs(h.t, h.GetWorkflowError(), &again)
	require.NoError(h.t, converter.GetDefaultDataConverter().FromPayloads(again.Input, into))
	h.AssertExpectations(h.t)
	return again.WorkflowType.Name
}

// Who writes without a pause, or keeps an agent from being reached for days,
// does not wear out the workflow that waits.
func TestALongWaitBeginsANewHistory(t *testing.T) {
	t.Parallel()
	for _, state := range []activities.TurnState{activities.StateLeader, activities.StateWait, activities.StateBehind} {
		h := newHands(t)
		h.SetContinueAsNewSuggested(true)
		h.joins(activities.TurnView{State: state, TurnID: nullID(turnID), Epoch: 3, Wait: time.Second, Leader: nullID(messageID), Agent: "a"})
		h.ExecuteWorkflow(workflows.TypeMessage, workflows.MessageInput{TenantID: "default", MessageID: messageID, Channel: "custom"})
		var turn activities.TurnRef
		require.Equal(t, workflows.TypeTurn, h.goesOn(&turn))
		require.Equal(t, turnID, turn.TurnID)
		require.Equal(t, messageID, turn.Leader)
		require.Equal(t, 3, turn.Epoch)
		require.Equal(t, "a", turn.Agent)
		require.Equal(t, "default", turn.TenantID)
		require.NotEmpty(t, turn.WorkflowID, "it is the same workflow")
	}
}

// What need not wait ends as ever.
func TestALongHistoryDoesNotPutAnAnswerOff(t *testing.T) {
	t.Parallel()
	h := newHands(t)
	h.SetContinueAsNewSuggested(true)
	h.OnActivity(activities.TurnClose, mock.Anything, mock.Anything).Return(closed(true), nil).Once()
	h.OnActivity(activities.AgentReply, mock.Anything, mock.Anything).
		Return(activities.ReplyOutput{State: activities.StateClosed, Parts: 1, QuickDelivery: true}, nil).Once()
	h.OnActivity(activities.DeliverSend, mock.Anything, mock.Anything).
		Return(activities.SendOutput{Outcome: activities.OutcomeAnswered, Sent: 1, Finished: true}, nil).Once()
	h.ExecuteWorkflow(workflows.TypeTurn, activities.TurnRef{TenantID: "default", Channel: "custom", TurnID: turnID, WorkflowID: "message/1"})
	require.NoError(t, h.GetWorkflowError())
	var out workflows.MessageResult
	require.NoError(t, h.GetWorkflowResult(&out))
	require.Equal(t, activities.OutcomeAnswered, out.Outcome)
}

func TestAFollowUpThatWaitsLongBeginsANewHistory(t *testing.T) {
	t.Parallel()
	h := newHands(t)
	h.SetContinueAsNewSuggested(true)
	h.claims(activities.TurnView{State: activities.StateBehind})
	h.ExecuteWorkflow(workflows.TypeFollowUp, activities.FollowUpInput{TenantID: "default", Channel: "custom", TurnID: followedID, N: 1,
		Leader: messageID})
	var in activities.FollowUpInput
	require.Equal(t, workflows.TypeFollowUp, h.goesOn(&in))
	require.Equal(t, followedID, in.TurnID)
	require.Equal(t, 1, in.N)
}
