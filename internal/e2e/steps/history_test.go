package steps

import (
	"testing"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
)

// history returns the events of a workflow's newest run.
func (s *site) history(t *testing.T, workflowID string) []*historypb.HistoryEvent {
	t.Helper()
	var list []*historypb.HistoryEvent
	events := s.temporal.GetWorkflowHistory(t.Context(), workflowID, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		e, err := events.Next()
		require.NoError(t, err)
		list = append(list, e)
	}
	return list
}

// scheduled counts the regular activities of a type.
func scheduled(list []*historypb.HistoryEvent, activity string) int {
	n := 0
	for _, e := range list {
		if e.GetActivityTaskScheduledEventAttributes().GetActivityType().GetName() == activity {
			n++
		}
	}
	return n
}
