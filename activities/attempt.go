package activities

import (
	"context"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/omnihub/omni/internal/omni"
)

// NewAttempt reads from an activity's context which try of the step this is.
// It is for implementations, which run outside the workflow's determinism.
func NewAttempt(ctx context.Context) omni.Attempt {
	a := omni.Attempt{StartedAt: time.Now(), Number: 1}
	if activity.IsActivity(ctx) {
		info := activity.GetInfo(ctx)
		a.Number, a.ScheduledAt = int(info.Attempt), info.ScheduledTime
	}
	return a
}

// Heartbeat keeps a regular activity alive until stop is called: without it
// the server gives the activity to somebody else after HeartbeatTimeout. For a
// local activity it does nothing.
func Heartbeat(ctx context.Context) (stop func()) {
	if !activity.IsActivity(ctx) || activity.GetInfo(ctx).IsLocalActivity {
		return func() {}
	}
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(heartbeatEvery)
		defer tick.Stop()
		for {
			activity.RecordHeartbeat(ctx)
			select {
			case <-done:
				return
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}()
	return func() { close(done); <-stopped }
}

// heartbeatEvery is well below the 5 s of HeartbeatTimeout.
const heartbeatEvery = time.Second
