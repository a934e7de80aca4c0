package steps

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/temporalproto"
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

// historiesInto, if set, is where tests add the histories worth replaying for ever.
var historiesInto = flag.String("histories", "", "directory to record workflow histories into")

// identity is who did something: a process of the machine that recorded, which
// is nobody's business.
var identity = regexp.MustCompile(`"identity": "[^"]*"`)

// record adds the history of an ended workflow to those that are replayed, if
// this run is to record.
func (s *site) record(t *testing.T, kind, name, workflowID string) {
	t.Helper()
	if *historiesInto == "" {
		return
	}
	b, err := temporalproto.CustomJSONMarshalOptions{Indent: " "}.Marshal(&historypb.History{Events: s.history(t, workflowID)})
	require.NoError(t, err)
	b = identity.ReplaceAll(b, []byte(`"identity": "omni"`))
	dir := filepath.Join(*historiesInto, kind)
	require.NoError(t, os.MkdirAll(dir, 0o755)) //nolint:gosec // a directory of the repository
	path := filepath.Join(dir, time.Now().UTC().Format("20060102-1504")+"-"+name+".json")
	require.NoError(t, os.WriteFile(path, append(b, '\n'), 0o644)) //nolint:gosec // a file of the repository
}
