package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/omnihub/omni/activities"
)

// Janitor looks for turns whose workflow is gone. A Temporal Schedule starts
// it; several at once do no harm, because turns change hands by compare and set.
func Janitor(ctx workflow.Context) (activities.SweepOutput, error) {
	return activities.Sweep(ctx, activities.SweepInput{Limit: 200})
}

// JanitorEvery is how often the schedule starts the janitor.
const JanitorEvery = 30 * time.Second
