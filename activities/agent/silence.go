package agent

import (
	"context"
	"time"

	"golang.org/x/time/rate"
)

// silenceEvery is how often it is looked whether a chat is still silent: a
// message may come of which nobody tells this process, because it is denied, or
// not ours to answer.
const silenceEvery = 150 * time.Millisecond

// SilenceLooks bounds how often one process looks, for all calls together: when
// thousands of follow-ups are due at once, each is looked after less often.
func SilenceLooks() *rate.Limiter { return rate.NewLimiter(200, 20) }

// whileSilent gives a context for asking the agent for a follow-up, which ends
// with errTurnCancelled once the follow-up must not be sent any more. What
// cannot be asked now is asked again: the claim of the part decides.
func (c *call) whileSilent(ctx context.Context) (asking context.Context, stop func()) {
	if !c.followUp {
		return ctx, func() {}
	}
	asking, cancel := context.WithCancelCause(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(silenceEvery)
		defer tick.Stop()
		for {
			if c.Silence != nil && c.Silence.Wait(asking) != nil {
				return
			}
			stands, err := c.Store.FollowUpStands(asking, c.turn.ChatID, c.turn.TurnID, c.turn.WorkflowID, c.turn.Epoch, c.attempt)
			if err == nil && !stands {
				cancel(errTurnCancelled)
				return
			}
			select {
			case <-asking.Done():
				return
			case <-tick.C:
			}
		}
	}()
	return asking, func() { cancel(nil); <-done }
}
