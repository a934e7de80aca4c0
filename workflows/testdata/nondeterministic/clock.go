// Package nondeterministic is what make lint checks its check with: a workflow
// that looks at the clock, which workflowcheck must refuse.
package nondeterministic

import (
	"time"

	"go.temporal.io/sdk/workflow"
)

// Clock decides by the wall clock.
func Clock(ctx workflow.Context) error {
	return workflow.Sleep(ctx, time.Until(time.Now().Add(time.Second)))
}
