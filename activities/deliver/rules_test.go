package deliver_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/activities"
	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/message"
)

// A part whose time has not come is not tried: by nobody, whoever goes on.
func TestARowThatWaitsIsWaitedFor(t *testing.T) {
	t.Parallel()
	s := newScript("one")
	s.end, s.endWait = "later", time.Minute
	_, err := s.run(t)
	require.Equal(t, time.Minute, delayOf(t, err, activities.ErrTypeDeliverLimited))
	require.Zero(t, s.tries)
}

// What is over within a moment is waited out in the step.
func TestAMomentIsWaitedOutHere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newScript("one")
		s.end, s.endWait = "later", 300*time.Millisecond
		began := time.Now()
		time.AfterFunc(250*time.Millisecond, func() { s.setEnd("") })
		out, err := s.run(t)
		require.NoError(t, err)
		require.Equal(t, activities.OutcomeAnswered, out.Outcome)
		require.Equal(t, 300*time.Millisecond, s.shownAt[0].Sub(began))
	})
}

// Policy resend risks a second bubble, not a hundredth.
func TestResendingEnds(t *testing.T) {
	t.Parallel()
	s := newScript("one", "two")
	s.inst.Settings.Messaging.UnknownPolicy = "resend"
	s.platform = func(int, message.Outbound) error {
		return &channels.SendError{Kind: channels.ErrUnknown, Reason: "timeout"}
	}
	tries := 0
	for {
		out, err := s.run(t)
		if tries++; err == nil {
			require.Equal(t, activities.OutcomeUnknown, out.Outcome)
			break
		}
		require.Less(t, tries, 20)
	}
	require.Equal(t, 1+3, s.tries, "each try of which nobody knows what came counts once")
	require.Equal(t, []string{"unknown", "queued"}, s.status)
}

// Between two parts somebody seems to type, for as long as it takes, and
// never after the last one.
func TestHumanDelay(t *testing.T) {
	t.Parallel()
	for mode, pauses := range map[string][]time.Duration{
		"fixed":        {10 * time.Second, 10 * time.Second},
		"proportional": {20 * time.Second, 2500 * time.Millisecond},
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newScript("one", string(make([]byte, 200)), "three")
				s.caps.Typing, s.caps.TypingSeconds = true, 5
				s.inst.Settings.Messaging.SplitDelayMs, s.inst.Settings.Messaging.SplitDelayMode = 10_000, mode
				_, err := s.run(t)
				require.NoError(t, err)
				for i, want := range pauses {
					require.Equal(t, want, s.shownAt[i+1].Sub(s.shownAt[i]))
				}
				// At once, and again before the platform takes it away.
				var shown []time.Duration
				for _, at := range s.typed {
					if at.Before(s.shownAt[1]) {
						shown = append(shown, at.Sub(s.shownAt[0]))
					}
				}
				for i, at := range shown {
					require.Equal(t, time.Duration(i)*4*time.Second, at)
				}
				require.Len(t, shown, int((pauses[0]-1)/(4*time.Second))+1)
				for _, at := range s.typed {
					require.True(t, at.Before(s.shownAt[2]), "never after the last part")
				}
			})
		})
	}
}

// A platform that is slow to show the indicator does not hold the part up.
func TestASlowIndicatorHoldsNothingUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newScript("one", "two")
		s.caps.Typing = true
		s.inst.Settings.Messaging.SplitDelayMs = 1000
		s.typing = func(ctx context.Context) { <-ctx.Done() }
		_, err := s.run(t)
		require.NoError(t, err)
		require.Equal(t, time.Second, s.shownAt[1].Sub(s.shownAt[0]))
	})
}

// A takeover ends the pause between two parts at once, and the typing with it.
func TestATakeoverEndsTheTyping(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newScript("one", "two")
		s.caps.Typing = true
		s.inst.Settings.Messaging.SplitDelayMs = 60_000
		began := time.Now()
		time.AfterFunc(3*time.Second, func() { s.cutOff() })
		out, err := s.run(t)
		require.NoError(t, err)
		require.Equal(t, activities.OutcomeCancelled, out.Outcome)
		require.Equal(t, 3*time.Second, time.Since(began))
		require.Equal(t, []string{"one"}, s.shown)
		require.Len(t, s.typed, 1)
	})
}

// A part that stands at the gate when its turn is cancelled is withdrawn, and
// the row says that it was not sent.
func TestATakeoverWithdrawsWhatWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newScript("one", "two")
		s.caps.Typing = true
		s.inst.Settings.Messaging.SplitDelayMs = 60_000
		s.waits = func(context.Context) { <-s.withdrawn }
		s.platform = func(int, message.Outbound) error {
			return &channels.SendError{Kind: channels.ErrTransient, Certain: true, Reason: "whoever asked for it has left"}
		}
		began := time.Now()
		time.AfterFunc(time.Second, func() { s.cutOff() })
		out, err := s.run(t)
		require.NoError(t, err)
		require.Equal(t, activities.OutcomeCancelled, out.Outcome)
		require.Equal(t, time.Second, time.Since(began))
		require.Equal(t, []string{"queued", "queued"}, s.status, "the database makes that cancelled")
		require.Empty(t, s.typed)
	})
}
