package workflows_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/worker"

	"github.com/omnihub/omni/workflows"
)

// TestReplayRecordedHistories runs today's code against everything ever
// recorded: a change that would break a running workflow fails here. Recorded
// histories are only added (make histories), never rewritten.
func TestReplayRecordedHistories(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join("testdata", "histories", "*", "*.json"))
	require.NoError(t, err)
	require.NotEmpty(t, files, "there are recorded histories to replay")
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			replayer := worker.NewWorkflowReplayer()
			workflows.Register(replayer)
			require.NoError(t, replayer.ReplayWorkflowHistoryFromJSONFile(nil, file))
		})
	}
}

// A replay that cannot fail guards nothing: a history whose first step was
// another one must not replay.
func TestReplayNoticesAChangedStep(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join("testdata", "histories", workflows.TypeMessage, "*.json"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	b, err := os.ReadFile(files[0])
	require.NoError(t, err)
	changed := filepath.Join(t.TempDir(), "changed.json")
	require.NoError(t, os.WriteFile(changed, renameSteps(b), 0o600))
	replayer := worker.NewWorkflowReplayer()
	workflows.Register(replayer)
	require.Error(t, replayer.ReplayWorkflowHistoryFromJSONFile(nil, changed))
}
