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
		a.Number, a.ScheduledAt, a.Local = int(info.Attempt), info.ScheduledTime, info.IsLocalActivity
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
	return Repeat(ctx, heartbeatFirst, heartbeatEvery, func() { activity.RecordHeartbeat(ctx) })
}

// Repeat calls fn after first and then every so often, until ctx ends or stop
// is called; stop waits for a call under way.
func Repeat(ctx context.Context, first, every time.Duration, fn func()) (stop func()) {
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		timer := time.NewTimer(first)
		defer timer.Stop()
		for {
			select {
			case <-done:
				return
			case <-ctx.Done():
				return
			case <-timer.C:
			}
			fn()
			timer.Reset(every)
		}
	}()
	return func() { close(done); <-stopped }
}

const (
	// heartbeatFirst: the server counts HeartbeatTimeout from the start
	// of the activity by itself. Each heartbeat is a write to its database;
	// most calls of agents end before they need one, also on a busy machine.
	heartbeatFirst = 5 * time.Second
	// heartbeatEvery is offered to the client, which sends one every 80 % of HeartbeatTimeout.
	heartbeatEvery = time.Second
)
