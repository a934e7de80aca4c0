package durable

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/worker"
)

// released is what a worker says when a task has ended.
type released struct {
	worker.SlotReleaseInfo

	permit *worker.SlotPermit
}

func (r released) Permit() *worker.SlotPermit { return r.permit }

func TestStartsWaitForRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSlots(1)
		began := time.Now()
		permits := make([]*worker.SlotPermit, begunPerCPU)
		for i := range permits {
			s.await(t.Context())
			permits[i] = s.TryReserveSlot(nil)
			require.NotNil(t, permits[i])
		}
		require.Equal(t, began, time.Now(), "there was room")

		freed := make(chan struct{})
		go func() { s.await(t.Context()); close(freed) }()
		synctest.Wait()
		select {
		case <-freed:
			t.Fatal("there is no room")
		default:
		}
		s.ReleaseSlot(released{permit: permits[0]})
		<-freed
		require.Equal(t, began, time.Now(), "at once")

		s.TryReserveSlot(nil)
		s.await(t.Context())
		require.Equal(t, roomWithin, time.Since(began), "not for ever")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		s.await(ctx)
		require.Equal(t, roomWithin, time.Since(began), "nor when nobody waits any more")
	})
}

// What goes on has places of its own, and does not count as begun.
func TestWhatGoesOnHasRoom(t *testing.T) {
	t.Parallel()
	s := newSlots(1)
	for range begunPerCPU {
		require.NotNil(t, s.TryReserveSlot(nil))
	}
	permits := make([]*worker.SlotPermit, tasksThatGoOn)
	for i := range permits {
		permit, err := s.ReserveSlot(t.Context(), nil)
		require.NoError(t, err)
		permits[i] = permit
	}
	require.Nil(t, s.TryReserveSlot(nil), "no place at all")
	s.ReleaseSlot(released{permit: permits[0]})
	require.Equal(t, begunPerCPU, s.begun)
	require.Equal(t, begunPerCPU+tasksThatGoOn, s.MaxSlots())
}
