package workflows_test

import (
	"testing"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/activities"
	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/workflows"
)

func (h *hands) outbound(parts int) workflows.OutboundResult {
	h.t.Helper()
	h.ExecuteWorkflow(workflows.TypeOutbound, workflows.OutboundInput{TenantID: "default", MessageID: messageID, Channel: "custom", Parts: parts})
	require.True(h.t, h.IsWorkflowCompleted())
	require.NoError(h.t, h.GetWorkflowError())
	var out workflows.OutboundResult
	require.NoError(h.t, h.GetWorkflowResult(&out))
	h.AssertExpectations(h.t)
	return out
}

func (h *hands) sendsPart(i int, out activities.SendOutput) {
	h.OnActivity(activities.DeliverSend, mock.Anything, mock.MatchedBy(func(in activities.SendInput) bool {
		return in.Outbound.UUID == omni.OutboundPartID(messageID, i) && in.Turn.Leader == messageID
	})).Return(out, nil).Once()
}

func TestOutboundSendsItsParts(t *testing.T) {
	t.Parallel()
	for parts, sends := range map[int]int{0: 1, 1: 1, 3: 3} {
		h := newHands(t)
		for i := range sends {
			h.sendsPart(i, activities.SendOutput{Outcome: activities.OutcomeAnswered, Sent: 1, Finished: true})
		}
		require.Equal(t, workflows.OutboundResult{Outcome: activities.OutcomeAnswered}, h.outbound(parts))
	}
}

// The outcome is that of the first part that was not sent; the claims of those
// behind it end them.
func TestOutboundTellsOfThePartThatFailed(t *testing.T) {
	t.Parallel()
	h := newHands(t)
	h.sendsPart(0, activities.SendOutput{Outcome: activities.OutcomeAnswered})
	h.sendsPart(1, activities.SendOutput{Outcome: activities.OutcomeFailed, Error: "blocked"})
	h.sendsPart(2, activities.SendOutput{Outcome: activities.OutcomeCancelled})
	require.Equal(t, workflows.OutboundResult{Outcome: activities.OutcomeFailed, Error: "blocked"}, h.outbound(3))
}
