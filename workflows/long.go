package workflows

import "go.temporal.io/sdk/workflow"

// changeLong marks histories of workflows that begin a new one when they have
// become long.
const changeLong = "continue-when-long"

// isLong reports whether a workflow that waits should go on with a history of
// its own: however long a chat is written to without a pause, or an agent is
// tried again, Temporal ends a workflow whose history has reached its limits.
// All that a waiting workflow knows is in the rows.
func isLong(ctx workflow.Context) bool {
	return workflow.GetInfo(ctx).GetContinueAsNewSuggested() &&
		workflow.GetVersion(ctx, changeLong, workflow.DefaultVersion, 1) != workflow.DefaultVersion
}
