package workflows

import "go.temporal.io/sdk/workflow"

// Registry is what Register needs of a worker, a replayer or a test
// environment.
type Registry interface {
	RegisterWorkflowWithOptions(w any, options workflow.RegisterOptions)
}

// Register registers every workflow under its wire name.
func Register(r Registry) {
	for name, w := range map[string]any{
		TypeMessage: Message, TypeOutbound: Outbound, TypeTurn: Turn, TypeFollowUp: FollowUp, TypeJanitor: Janitor,
	} {
		r.RegisterWorkflowWithOptions(w, workflow.RegisterOptions{Name: name})
	}
}
