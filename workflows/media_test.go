package workflows_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/omnihub/omni/activities"
)

func view(state activities.TurnState, media int) activities.TurnView {
	return activities.TurnView{State: state, TurnID: nullID(turnID), Epoch: 1, Leader: nullID(messageID), Media: media}
}

// fetching has the attachments fetched in that time.
func (h *hands) fetching(takes time.Duration) {
	h.OnActivity(activities.MediaFetch, mock.Anything, mock.Anything).After(takes).Return(activities.FetchOutput{Received: 1}, nil).Once()
}

func (h *hands) ready(out activities.ReadyOutput) {
	h.OnActivity(activities.TurnReady, mock.Anything, mock.Anything).Return(out, nil).Once()
}

// A leader closes its turn only when its own attachments are there.
func TestALeaderWaitsForItsAttachments(t *testing.T) {
	t.Parallel()
	h := newHands(t)
	began := h.Now()
	h.joins(view(activities.StateWait, 1))
	h.fetching(20 * time.Second)
	h.ready(activities.ReadyOutput{Turn: view(activities.StateLeader, 0)})
	h.OnActivity(activities.TurnClose, mock.Anything, mock.Anything).Return(closed(true), nil).Once()
	h.OnActivity(activities.AgentReply, mock.Anything, mock.Anything).
		Return(activities.ReplyOutput{State: activities.StateClosed, Parts: 1, QuickDelivery: true}, nil).Once()
	h.OnActivity(activities.DeliverSend, mock.Anything, mock.Anything).
		Return(activities.SendOutput{Outcome: activities.OutcomeAnswered, Finished: true}, nil).Once()
	require.Equal(t, activities.OutcomeAnswered, h.run().Outcome)
	require.GreaterOrEqual(t, h.Now().Sub(began), 20*time.Second)
}

// A follower fetches its own, says so, and wakes the leader that waited.
func TestAFollowerWakesItsLeader(t *testing.T) {
	t.Parallel()
	h := newHands(t)
	h.joins(view(activities.StateFollower, 2))
	h.fetching(time.Second)
	h.ready(activities.ReadyOutput{Turn: view(activities.StateFollower, 0), Wake: []string{"message/leader"}})
	h.OnActivity(activities.TurnWake, mock.Anything, activities.WakeInput{Workflows: []string{"message/leader"}}).Return(struct{}{}, nil).Once()
	require.Equal(t, activities.OutcomeFollower, h.run().Outcome)
}

// Nobody fetches in time: that is noted, and the turn goes on without.
func TestAttachmentsThatNobodyFetchesAreGivenUp(t *testing.T) {
	t.Parallel()
	h := newHands(t)
	h.joins(view(activities.StateFollower, 1))
	h.OnActivity(activities.MediaFetch, mock.Anything, mock.Anything).
		Return(activities.FetchOutput{}, temporal.NewNonRetryableApplicationError("no worker", "", errors.New("none")))
	h.OnActivity(activities.MediaGiveUp, mock.Anything, mock.Anything).Return(activities.FetchOutput{Failed: 1}, nil).Once()
	h.ready(activities.ReadyOutput{Turn: view(activities.StateFollower, 0)})
	require.Equal(t, activities.OutcomeFollower, h.run().Outcome)
}

// Who interrupts does so before the attachments are fetched.
func TestAttachmentsDoNotPutAnInterruptionOff(t *testing.T) {
	t.Parallel()
	h := newHands(t)
	joined := view(activities.StateBehind, 1)
	joined.Interrupt = nullID(busyTurnID)
	h.joins(joined)
	began := h.Now()
	h.OnActivity(activities.TurnYield, mock.Anything, interrupts(busyTurnID)).Run(func(mock.Arguments) {
		require.Less(t, h.Now().Sub(began), time.Second)
	}).Return(view(activities.StateWait, 0), nil).Once()
	h.fetching(10 * time.Second)
	h.ready(activities.ReadyOutput{Turn: view(activities.StateCancelled, 0)})
	require.Equal(t, activities.OutcomeCancelled, h.run().Outcome)
}

// What is not answered is fetched all the same; what may not talk to us only
// where the instance says so.
func TestAttachmentsOfWhatIsNotAnswered(t *testing.T) {
	t.Parallel()
	for _, state := range []activities.TurnState{activities.StateIgnored, activities.StatePaused} {
		h := newHands(t)
		h.joins(activities.TurnView{State: state, Media: 1})
		h.fetching(time.Second)
		require.Equal(t, string(state), h.run().Outcome)
	}
	for anyway, media := range map[bool]int{true: 2, false: 2} {
		h := newHands(t)
		h.access = activities.CheckOutput{Decision: activities.Deny, MediaAnyway: anyway}
		if anyway {
			h.fetching(time.Second)
		}
		h.media = media
		require.Equal(t, activities.OutcomeDenied, h.run().Outcome)
	}
	h := newHands(t) // it has none
	h.access = activities.CheckOutput{Decision: activities.Deny, MediaAnyway: true}
	require.Equal(t, activities.OutcomeDenied, h.run().Outcome)
}
