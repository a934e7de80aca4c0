package lifecycle_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/omnihub/omni/internal/lifecycle"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// recorder notes what happened to its services, in order.
type recorder struct {
	mutex sync.Mutex
	notes []string
}

func (r *recorder) note(text string) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.notes = append(r.notes, text)
}

func (r *recorder) service(name string, startErr, stopErr error) lifecycle.Service {
	return lifecycle.Func{
		StartFunc: func(context.Context) error { r.note("+" + name); return startErr },
		StopFunc:  func(context.Context) error { r.note("-" + name); return stopErr },
	}
}

func TestGroupStartsInOrderAndStopsInReverse(t *testing.T) {
	t.Parallel()
	var r recorder
	var group lifecycle.Group
	for _, name := range []string{"a", "b", "c"} {
		group.Add(name, r.service(name, nil, nil))
	}
	require.NoError(t, group.Start(context.Background()))
	require.NoError(t, group.Start(context.Background()), "starting twice does nothing")
	require.NoError(t, group.Stop(context.Background()))
	require.NoError(t, group.Stop(context.Background()), "stopping twice does nothing")
	require.Equal(t, []string{"+a", "+b", "+c", "-c", "-b", "-a"}, r.notes)

	require.NoError(t, group.Start(context.Background()), "a stopped group starts again")
	require.NoError(t, group.Stop(context.Background()))
}

func TestGroupStopsWhatRanWhenOneCannotStart(t *testing.T) {
	t.Parallel()
	var r recorder
	var group lifecycle.Group
	refused, stuck := errors.New("refused"), errors.New("stuck")
	group.Add("a", r.service("a", nil, stuck))
	group.Add("b", r.service("b", refused, nil))
	group.Add("c", r.service("c", nil, nil))
	err := group.Start(context.Background())
	require.ErrorIs(t, err, refused)
	require.ErrorIs(t, err, stuck, "errors of the clean-up are not lost")
	require.ErrorContains(t, err, "starting b")
	require.Equal(t, []string{"+a", "+b", "-a"}, r.notes, "the one that failed cleans up by itself")
}

func TestGroupStopJoinsErrorsAndStopsTheRest(t *testing.T) {
	t.Parallel()
	var r recorder
	var group lifecycle.Group
	first, second := errors.New("first"), errors.New("second")
	group.Add("a", r.service("a", nil, first))
	group.Add("b", r.service("b", nil, second))
	require.NoError(t, group.Start(context.Background()))
	over, cancel := context.WithCancel(context.Background())
	cancel()
	err := group.Stop(over)
	require.ErrorIs(t, err, first)
	require.ErrorIs(t, err, second)
}

func TestGroupStopCancelsAStartUnderWay(t *testing.T) {
	t.Parallel()
	var r recorder
	var group lifecycle.Group
	entered := make(chan struct{})
	group.Add("a", r.service("a", nil, nil))
	group.Add("slow", lifecycle.Func{StartFunc: func(ctx context.Context) error {
		close(entered)
		<-ctx.Done()
		return ctx.Err()
	}})
	started := make(chan error, 1)
	go func() { started <- group.Start(context.Background()) }()
	<-entered
	require.NoError(t, group.Stop(context.Background()))
	require.ErrorIs(t, <-started, context.Canceled)
	require.Equal(t, []string{"+a", "-a"}, r.notes)
}

// TestGroupStress starts and stops from many goroutines: whatever the order,
// no service is started twice in a row or left running.
func TestGroupStress(t *testing.T) {
	t.Parallel()
	for range 10 {
		var group lifecycle.Group
		var alive [3]atomic.Int32
		for i := range alive {
			group.Add("member", lifecycle.Func{
				StartFunc: func(context.Context) error {
					if alive[i].Add(1) != 1 {
						return errors.New("started while it ran")
					}
					return nil
				},
				StopFunc: func(context.Context) error {
					if alive[i].Add(-1) != 0 {
						return errors.New("stopped while it did not run")
					}
					return nil
				},
			})
		}
		var wait sync.WaitGroup
		for range 50 {
			wait.Go(func() {
				if err := group.Start(context.Background()); err != nil && !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
			})
			wait.Go(func() {
				if err := group.Stop(context.Background()); err != nil {
					t.Error(err)
				}
			})
		}
		wait.Wait()
		require.NoError(t, group.Stop(context.Background()))
		for i := range alive {
			require.Zero(t, alive[i].Load())
		}
	}
}
