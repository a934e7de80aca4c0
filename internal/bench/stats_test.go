package main

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

func TestPercentileAndMedian(t *testing.T) {
	t.Parallel()
	sample := []time.Duration{5, 1, 4, 2, 3}
	require.Equal(t, time.Duration(3), percentile(sample, 0.5))
	require.Equal(t, time.Duration(5), percentile(sample, 0.99))
	require.Zero(t, percentile(nil, 0.5))
	require.InDelta(t, 2.5, median([]float64{4, 1, 2, 3}), 0)
	require.InDelta(t, 2, median([]float64{3, 1, 2}), 0)
	require.Empty(t, number(math.NaN(), 1), "what was not measured is not shown")
}

// The closed loop never has more under way than its window, and ends with
// nothing under way.
func TestClosedLoopKeepsItsWindow(t *testing.T) {
	t.Parallel()
	const window = 3
	sends := newTracker()
	w := &workload{name: "test", sends: sends, posters: 8, window: window, newKey: uuid.NewString}
	w.send = func(_ context.Context, key string) (uuid.UUID, error) {
		sends.mu.Lock()
		under := len(sends.begun)
		sends.mu.Unlock()
		if under > window {
			t.Errorf("%d messages under way", under)
		}
		go sends.done(key)
		return uuid.Parse(key)
	}
	tally, err := w.closedLoop(t.Context(), 50*time.Millisecond)
	require.NoError(t, err)
	require.NotEmpty(t, tally.ids)
	require.Len(t, tally.took, len(tally.ids))
}

func TestBurstFailsWithItsCause(t *testing.T) {
	t.Parallel()
	w := &workload{name: "test", sends: newTracker(), posters: 2, newKey: uuid.NewString,
		send: func(context.Context, string) (uuid.UUID, error) { return uuid.Nil, context.DeadlineExceeded }}
	_, err := w.burst(t.Context(), 5)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}
