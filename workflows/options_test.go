package workflows_test

import (
	"go.temporal.io/sdk/client"

	"github.com/omnihub/omni/workflows"
)

// startOptions are the ones the engine uses, as far as the test environment knows them.
func startOptions() client.StartWorkflowOptions {
	return client.StartWorkflowOptions{ID: workflows.MessageWorkflowID(messageID), TaskQueue: workflows.QueuePipeline}
}
