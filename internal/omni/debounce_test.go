package omni

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

func TestQuiet(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		cfg         MessagingConfig
		quiet, most time.Duration
	}{
		"disabled":            {MessagingConfig{DebounceMode: "disabled", DebounceMs: 500, DebounceMaxWaitMs: 30000}, 0, 30 * time.Second},
		"fixed":               {MessagingConfig{DebounceMode: "fixed", DebounceMs: 500, DebounceMaxWaitMs: 30000}, 500 * time.Millisecond, 30 * time.Second},
		"fixed over the cap":  {MessagingConfig{DebounceMode: "fixed", DebounceMs: 500, DebounceMaxWaitMs: 200}, 200 * time.Millisecond, 200 * time.Millisecond},
		"fixed, negative":     {MessagingConfig{DebounceMode: "fixed", DebounceMs: -5, DebounceMaxWaitMs: 200}, 0, 200 * time.Millisecond},
		"randomized to one":   {MessagingConfig{DebounceMode: "randomized", DebounceMinMs: 70, DebounceMaxMs: 70, DebounceMaxWaitMs: 200}, 70 * time.Millisecond, 200 * time.Millisecond},
		"randomized reversed": {MessagingConfig{DebounceMode: "randomized", DebounceMinMs: 70, DebounceMaxMs: 10, DebounceMaxWaitMs: 200}, 70 * time.Millisecond, 200 * time.Millisecond},
		"unknown mode":        {MessagingConfig{DebounceMode: "new", DebounceMs: 70, DebounceMaxWaitMs: 200}, 0, 200 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			quiet, most := Quiet(tc.cfg, uuid.New())
			require.Equal(t, tc.quiet, quiet)
			require.Equal(t, tc.most, most)
		})
	}
}

func TestQuietDrawsTheSameForAMessage(t *testing.T) {
	t.Parallel()
	cfg := MessagingConfig{DebounceMode: "randomized", DebounceMinMs: 100, DebounceMaxMs: 300, DebounceMaxWaitMs: 30000}
	draws := map[time.Duration]bool{}
	for range 200 {
		id := uuid.New()
		quiet, _ := Quiet(cfg, id)
		again, _ := Quiet(cfg, id)
		require.Equal(t, quiet, again)
		require.GreaterOrEqual(t, quiet, 100*time.Millisecond)
		require.LessOrEqual(t, quiet, 300*time.Millisecond)
		draws[quiet] = true
	}
	require.Greater(t, len(draws), 50, "draws are spread")
}

func TestTypingHolds(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	mark := func(sender string, seq uint64, age time.Duration) TypingMark {
		return TypingMark{SenderID: sender, Seq: seq, At: now.Add(-age)}
	}
	require.Empty(t, TypingHolds(nil, now))
	require.Empty(t, TypingHolds([]TypingMark{mark("ana", 1, TypingFor), mark("ana", 2, time.Hour)}, now), "old ones say nothing")
	require.Equal(t, []TypingHold{
		{SenderID: "ana", Seq: 3, LeftMs: 4000},
		{SenderID: "bob", Seq: 4, LeftMs: TypingFor.Milliseconds()}, // a clock that is ahead
		{Seq: 5, LeftMs: 1},
	}, TypingHolds([]TypingMark{mark("ana", 3, TypingFor-4*time.Second), mark("bob", 4, -time.Hour), mark("", 5, TypingFor-time.Nanosecond)}, now))
}
