package deliver_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/activities"
	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/message"
)

// The turn is cut off while a part is on its way: the part gets its receipt,
// and no other follows.
func TestCutOffLetsThePartUnderWayArrive(t *testing.T) {
	t.Parallel()
	s := newScript("one", "two", "three")
	s.platform = func(try int, _ message.Outbound) error {
		if try == 2 {
			s.cutOff()
		}
		return nil
	}
	out, err := s.run(t)
	require.NoError(t, err)
	require.Equal(t, activities.OutcomeCancelled, out.Outcome)
	require.Equal(t, []string{"one", "two"}, s.shown)
	require.Equal(t, []string{"sent", "sent", "queued"}, s.status)
	require.Equal(t, 1, s.released)
}

// The pause between two parts ends when the turn is cut off.
func TestCutOffEndsThePause(t *testing.T) {
	t.Parallel()
	s := newScript("one", "two")
	s.inst.Settings.Messaging.SplitDelayMs = 60_000
	s.platform = func(int, message.Outbound) error {
		s.cutOff()
		return nil
	}
	began := time.Now()
	out, err := s.run(t)
	require.NoError(t, err)
	require.Equal(t, activities.OutcomeCancelled, out.Outcome)
	require.Equal(t, []string{"one"}, s.shown)
	require.Less(t, time.Since(began), 10*time.Second)
}

// What a sender that died left of a turn that was cut off is asked after; it
// is never sent again, whatever the channel and the policy.
func TestSettle(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		remember *channels.Reply
		status   string
	}{
		"sent":         {&channels.Reply{Receipt: &message.Receipt{ExternalID: "y"}}, "sent"},
		"refused":      {&channels.Reply{Error: &channels.ReplyError{Kind: channels.ErrRejected, Certain: true}}, "failed"},
		"rate limited": {&channels.Reply{Error: &channels.ReplyError{Kind: channels.ErrRateLimited, Certain: true}}, "queued"},
		"uncertain":    {&channels.Reply{Error: &channels.ReplyError{Kind: channels.ErrTransient}}, "unknown"},
		"forgotten":    {nil, "unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScript("one", "two")
			s.status[0], s.end, s.remember = "sending", "cancelled", c.remember
			s.caps.IdempotentSend, s.inst.Settings.Messaging.UnknownPolicy = true, "resend"
			out, err := s.run(t)
			require.NoError(t, err)
			require.Equal(t, activities.OutcomeCancelled, out.Outcome)
			require.Equal(t, []string{c.status, "queued"}, s.status)
			require.Zero(t, s.tries)
		})
	}
}
