package workflows_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"github.com/omnihub/omni/activities"
	"github.com/omnihub/omni/workflows"
)

// hands stands in for the steps; each test says what they answer.
type hands struct {
	*testsuite.TestWorkflowEnvironment
	t      *testing.T
	who    activities.ResolveOutput
	access activities.CheckOutput
	media  int // attachments of the message
}

var (
	messageID = uuid.MustParse("018f0000-0000-8000-8000-000000000001")
	turnID    = uuid.MustParse("018f0000-0000-8000-8000-000000000002")
	personID  = uuid.MustParse("018f0000-0000-8000-8000-000000000003")
)

func newHands(t *testing.T) *hands {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestWorkflowEnvironment()
	workflows.Register(env)
	register := func(name string, fn any) {
		env.RegisterActivityWithOptions(fn, activity.RegisterOptions{Name: name})
	}
	register(activities.IdentityResolve, stub[activities.ResolveInput, activities.ResolveOutput])
	register(activities.AccessCheck, stub[activities.CheckInput, activities.CheckOutput])
	register(activities.TurnJoin, stub[activities.JoinInput, activities.TurnView])
	register(activities.TurnClose, stub[activities.CloseInput, activities.TurnView])
	register(activities.TurnYield, stub[activities.YieldInput, activities.TurnView])
	register(activities.TurnReady, stub[activities.ReadyInput, activities.ReadyOutput])
	register(activities.MediaFetch, stub[activities.FetchInput, activities.FetchOutput])
	register(activities.MediaGiveUp, stub[activities.FetchInput, activities.FetchOutput])
	register(activities.TurnFinish, stub[activities.FinishInput, activities.FinishOutput])
	register(activities.TurnWake, stub[activities.WakeInput, struct{}])
	register(activities.FollowUpArm, stub[activities.ArmInput, struct{}])
	register(activities.FollowUpClaim, stub[activities.ClaimInput, activities.TurnView])
	register(activities.AgentReply, stub[activities.ReplyInput, activities.ReplyOutput])
	register(activities.AgentAwait, stub[activities.AwaitInput, activities.ReplyOutput])
	register(activities.AgentGiveUp, stub[activities.GiveUpInput, activities.ReplyOutput])
	register(activities.DeliverSend, stub[activities.SendInput, activities.SendOutput])
	h := &hands{TestWorkflowEnvironment: env, t: t, who: activities.ResolveOutput{PersonID: personID},
		access: activities.CheckOutput{Decision: activities.Allow}}
	h.SetStartWorkflowOptions(startOptions())
	h.OnActivity(activities.IdentityResolve, mock.Anything, mock.Anything).Maybe().
		Return(func(context.Context, activities.ResolveInput) (activities.ResolveOutput, error) { return h.who, nil })
	h.OnActivity(activities.AccessCheck, mock.Anything, mock.Anything).Maybe().
		Return(func(context.Context, activities.CheckInput) (activities.CheckOutput, error) { return h.access, nil })
	return h
}

// stub is never called: every test says what a step answers.
func stub[In, Out any](context.Context, In) (Out, error) {
	var out Out
	return out, errors.New("this step was not expected")
}

func (h *hands) joins(v activities.TurnView) {
	h.OnActivity(activities.TurnJoin, mock.Anything, mock.Anything).Return(v, nil)
}

func (h *hands) run() workflows.MessageResult {
	h.t.Helper()
	h.ExecuteWorkflow(workflows.TypeMessage, workflows.MessageInput{TenantID: "default", MessageID: messageID, Channel: "custom",
		MediaCount: h.media})
	require.True(h.t, h.IsWorkflowCompleted())
	require.NoError(h.t, h.GetWorkflowError())
	var out workflows.MessageResult
	require.NoError(h.t, h.GetWorkflowResult(&out))
	h.AssertExpectations(h.t)
	return out
}

func closed(quick bool) activities.TurnView {
	return activities.TurnView{State: activities.StateClosed, TurnID: nullID(turnID), Epoch: 1, Leader: nullID(messageID),
		QuickAgent: quick, AgentTimeout: time.Minute, AgentRetryFor: 15 * time.Minute}
}

func nullID(id uuid.UUID) uuid.NullUUID { return uuid.NullUUID{UUID: id, Valid: true} }

func TestMessageIsAnswered(t *testing.T) {
	t.Parallel()
	for name, quick := range map[string]bool{"quick": true, "slow": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHands(t)
			h.joins(closed(quick))
			h.OnActivity(activities.AgentReply, mock.Anything, mock.MatchedBy(func(in activities.ReplyInput) bool {
				return in.Turn.TurnID == turnID && in.Turn.Epoch == 1 && in.Turn.WorkflowID == workflows.MessageWorkflowID(messageID)
			})).Return(activities.ReplyOutput{State: activities.StateClosed, Parts: 2, QuickDelivery: quick}, nil).Once()
			h.OnActivity(activities.DeliverSend, mock.Anything, mock.Anything).
				Return(activities.SendOutput{Outcome: activities.OutcomeAnswered, Sent: 2, Finished: true, Wake: []string{"message/b"}}, nil).Once()
			h.OnActivity(activities.TurnWake, mock.Anything, activities.WakeInput{Workflows: []string{"message/b"}}).
				Return(struct{}{}, nil).Once()
			out := h.run()
			require.Equal(t, activities.OutcomeAnswered, out.Outcome)
			require.Equal(t, turnID, out.TurnID.UUID)
			require.Equal(t, 2, out.Parts)
		})
	}
}

func TestMessageThatIsNotAnswered(t *testing.T) {
	t.Parallel()
	for state, outcome := range map[activities.TurnState]string{
		activities.StateIgnored:   activities.OutcomeIgnored,
		activities.StatePaused:    activities.OutcomePaused,
		activities.StateFollower:  activities.OutcomeFollower,
		activities.StateAdopted:   activities.OutcomeAdopted,
		activities.StateCancelled: activities.OutcomeCancelled,
	} {
		t.Run(string(state), func(t *testing.T) {
			t.Parallel()
			h := newHands(t)
			h.joins(activities.TurnView{State: state})
			require.Equal(t, outcome, h.run().Outcome)
		})
	}
}

func TestDeniedMessageJoinsNothing(t *testing.T) {
	t.Parallel()
	for _, d := range []activities.Decision{activities.Deny, activities.Silent, activities.Pair} {
		h := newHands(t)
		h.access.Decision = d
		require.Equal(t, activities.OutcomeDenied, h.run().Outcome)
	}
}

// The leader waits out the debounce on a timer, as long as the rows say.
func TestLeaderWaitsForQuiet(t *testing.T) {
	t.Parallel()
	h := newHands(t)
	started := h.Now()
	h.joins(activities.TurnView{State: activities.StateLeader, TurnID: nullID(turnID), Epoch: 1, Wait: 3 * time.Second})
	h.OnActivity(activities.TurnClose, mock.Anything, mock.Anything).
		Return(activities.TurnView{State: activities.StateWait, TurnID: nullID(turnID), Epoch: 1, Wait: 2 * time.Second}, nil).Once()
	h.OnActivity(activities.TurnClose, mock.Anything, mock.Anything).Return(closed(true), nil).Once()
	h.OnActivity(activities.AgentReply, mock.Anything, mock.Anything).
		Return(activities.ReplyOutput{State: activities.StateClosed, Parts: 1, QuickDelivery: true}, nil)
	h.OnActivity(activities.DeliverSend, mock.Anything, mock.Anything).
		Return(activities.SendOutput{Outcome: activities.OutcomeAnswered, Finished: true}, nil)
	require.Equal(t, activities.OutcomeAnswered, h.run().Outcome)
	require.Equal(t, 5*time.Second, h.Now().Sub(started).Round(time.Second))
}

// An earlier message of the chat came later to the lock and leads now: the
// workflow that led is a follower's.
func TestLeaderThatWasFirstAtTheLockOnly(t *testing.T) {
	t.Parallel()
	h := newHands(t)
	first := uuid.MustParse("018f0000-0000-8000-8000-000000000009")
	h.joins(activities.TurnView{State: activities.StateWait, TurnID: nullID(turnID), Epoch: 1, Leader: nullID(messageID), Wait: time.Second})
	h.OnActivity(activities.TurnClose, mock.Anything, mock.Anything).
		Return(activities.TurnView{State: activities.StateFollower, TurnID: nullID(turnID), Epoch: 1, Leader: nullID(first)}, nil).Once()
	out := h.run()
	require.Equal(t, activities.OutcomeFollower, out.Outcome)
	require.Equal(t, turnID, out.TurnID.UUID)
	require.Equal(t, first, out.Leader.UUID)
}

// A leader behind another turn is woken by its end, and looks by itself
// should the wake be lost.
func TestLeaderWaitsBehind(t *testing.T) {
	t.Parallel()
	for name, wakeAfter := range map[string]time.Duration{"woken": time.Second, "wake lost": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHands(t)
			started := h.Now()
			h.joins(activities.TurnView{State: activities.StateBehind, TurnID: nullID(turnID), Epoch: 1})
			h.OnActivity(activities.TurnClose, mock.Anything, mock.Anything).
				Return(activities.TurnView{State: activities.StateFinished, TurnID: nullID(turnID), Epoch: 1, Outcome: "answered"}, nil).Once()
			h.OnActivity(activities.TurnFinish, mock.Anything, mock.Anything).
				Return(activities.FinishOutput{Outcome: activities.OutcomeAnswered}, nil).Once()
			want := 5 * time.Second
			if wakeAfter > 0 {
				want = wakeAfter
				h.RegisterDelayedCallback(func() { h.SignalWorkflow(activities.SignalWake, nil) }, wakeAfter)
			}
			require.Equal(t, activities.OutcomeAnswered, h.run().Outcome)
			require.Equal(t, want, h.Now().Sub(started).Round(time.Second))
		})
	}
}

// An agent that was quick and is not any more: the regular activity takes over.
func TestQuickAgentTurnsSlow(t *testing.T) {
	t.Parallel()
	h := newHands(t)
	h.joins(closed(true))
	calls := 0
	h.OnActivity(activities.AgentReply, mock.Anything, mock.Anything).Return(
		func(ctx context.Context, _ activities.ReplyInput) (activities.ReplyOutput, error) {
			calls++
			if activity.GetInfo(ctx).IsLocalActivity {
				return activities.ReplyOutput{}, context.DeadlineExceeded
			}
			return activities.ReplyOutput{State: activities.StateClosed, Parts: 1}, nil
		})
	h.OnActivity(activities.DeliverSend, mock.Anything, mock.Anything).
		Return(activities.SendOutput{Outcome: activities.OutcomeAnswered, Finished: true}, nil)
	require.Equal(t, activities.OutcomeAnswered, h.run().Outcome)
	require.Equal(t, 2, calls)
}

// An agent that never answers: tried for agent.retryForSeconds, then a dead
// letter, and the fallback text where there is one.
func TestAgentNeverAnswers(t *testing.T) {
	t.Parallel()
	for name, parts := range map[string]int{"fallback": 1, "no fallback": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHands(t)
			h.joins(closed(false))
			tries := 0
			h.OnActivity(activities.AgentReply, mock.Anything, mock.Anything).Return(
				func(ctx context.Context, _ activities.ReplyInput) (activities.ReplyOutput, error) {
					tries++
					// The test environment stops after ten tries; the server goes by this.
					require.Equal(t, 15*time.Minute+30*time.Second, activity.GetInfo(ctx).ScheduleToCloseTimeout)
					return activities.ReplyOutput{}, temporal.NewApplicationError("503 from the agent", activities.ErrTypeAgentTransient)
				})
			h.OnActivity(activities.AgentGiveUp, mock.Anything, mock.MatchedBy(func(in activities.GiveUpInput) bool {
				return in.Error == "503 from the agent" && in.Type == activities.ErrTypeAgentTransient
			})).Return(activities.ReplyOutput{State: activities.StateClosed, Parts: parts, QuickDelivery: true}, nil).Once()
			want := activities.OutcomeFailed
			if parts > 0 {
				want = activities.OutcomeFallback
				h.OnActivity(activities.DeliverSend, mock.Anything, mock.MatchedBy(func(in activities.SendInput) bool { return in.Fallback })).
					Return(activities.SendOutput{Outcome: activities.OutcomeFallback, Finished: true}, nil)
			} else {
				h.OnActivity(activities.TurnFinish, mock.Anything, mock.MatchedBy(func(in activities.FinishInput) bool {
					return in.Outcome == activities.OutcomeFailed && in.DeadLetter == ""
				})).Return(activities.FinishOutput{Outcome: activities.OutcomeFailed}, nil)
			}
			require.Equal(t, want, h.run().Outcome)
			require.Greater(t, tries, 1)
		})
	}
}

func TestWrongKeyIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	h := newHands(t)
	h.joins(closed(true))
	h.OnActivity(activities.AgentReply, mock.Anything, mock.Anything).Return(activities.ReplyOutput{},
		temporal.NewNonRetryableApplicationError("401: wrong key", activities.ErrTypeAgentBadCredentials, nil)).Once()
	h.OnActivity(activities.AgentGiveUp, mock.Anything, mock.Anything).Return(activities.ReplyOutput{State: activities.StateClosed}, nil)
	h.OnActivity(activities.TurnFinish, mock.Anything, mock.Anything).Return(activities.FinishOutput{Outcome: activities.OutcomeFailed}, nil)
	require.Equal(t, activities.OutcomeFailed, h.run().Outcome)
}

// A database that is away for an hour ends no message: each step is tried until
// it answers.
func TestStepsAreTriedUntilTheDatabaseAnswers(t *testing.T) {
	t.Parallel()
	h := newHands(t)
	var back time.Time
	tries := 0
	h.OnActivity(activities.TurnJoin, mock.Anything, mock.Anything).Return(
		func(context.Context, activities.JoinInput) (activities.TurnView, error) {
			if tries++; tries == 1 {
				back = h.Now().Add(time.Hour)
			}
			if h.Now().Before(back) {
				return activities.TurnView{}, errors.New("the database system is not yet accepting connections")
			}
			return activities.TurnView{State: activities.StateIgnored}, nil
		})
	require.Equal(t, activities.OutcomeIgnored, h.run().Outcome)
	require.Greater(t, tries, 1000)
}

func TestDeliveryOutcomes(t *testing.T) {
	t.Parallel()
	for outcome, deadLetter := range map[string]string{
		activities.OutcomeFailed:    activities.DeliverSend,
		activities.OutcomeUnknown:   "",
		activities.OutcomeExpired:   "",
		activities.OutcomeCancelled: "",
	} {
		t.Run(outcome, func(t *testing.T) {
			t.Parallel()
			h := newHands(t)
			h.joins(closed(true))
			h.OnActivity(activities.AgentReply, mock.Anything, mock.Anything).
				Return(activities.ReplyOutput{State: activities.StateClosed, Parts: 1, QuickDelivery: true}, nil)
			h.OnActivity(activities.DeliverSend, mock.Anything, mock.Anything).
				Return(activities.SendOutput{Outcome: outcome, Error: "why"}, nil)
			h.OnActivity(activities.TurnFinish, mock.Anything, mock.MatchedBy(func(in activities.FinishInput) bool {
				return in.Outcome == outcome && in.DeadLetter == deadLetter
			})).Return(activities.FinishOutput{Outcome: outcome, Wake: []string{"w"}}, nil)
			h.OnActivity(activities.TurnWake, mock.Anything, mock.Anything).Return(struct{}{}, nil).Once()
			require.Equal(t, outcome, h.run().Outcome)
		})
	}
}

// The quick path is told to wait: the workflow does, visibly, before anybody
// is asked again. Another failure of it is taken over at once.
func TestQuickDeliveryWaitsAsTold(t *testing.T) {
	t.Parallel()
	for errType, want := range map[string]time.Duration{activities.ErrTypeDeliverLimited: 7 * time.Second, activities.ErrTypeDeliverLater: 0} {
		t.Run(errType, func(t *testing.T) {
			t.Parallel()
			h := newHands(t)
			h.joins(closed(true))
			h.OnActivity(activities.AgentReply, mock.Anything, mock.Anything).
				Return(activities.ReplyOutput{State: activities.StateClosed, Parts: 1, QuickDelivery: true}, nil)
			var refused, asked time.Time
			h.OnActivity(activities.DeliverSend, mock.Anything, mock.Anything).Return(
				func(ctx context.Context, _ activities.SendInput) (activities.SendOutput, error) {
					if activity.GetInfo(ctx).IsLocalActivity {
						refused = h.Now()
						return activities.SendOutput{}, temporal.NewApplicationErrorWithOptions("429", errType,
							temporal.ApplicationErrorOptions{NextRetryDelay: 7 * time.Second})
					}
					asked = h.Now()
					return activities.SendOutput{Outcome: activities.OutcomeAnswered, Finished: true}, nil
				})
			require.Equal(t, activities.OutcomeAnswered, h.run().Outcome)
			require.Equal(t, want, asked.Sub(refused).Round(time.Second))
		})
	}
}

// An old duplicate, or this workflow before a restart that came between its
// last step and the end of its workflow task: the side effects are still owed.
func TestMessageWithAnOutcomeOnlyWakes(t *testing.T) {
	t.Parallel()
	h := newHands(t)
	h.who = activities.ResolveOutput{PersonID: personID, Outcome: "answered", Turn: nullID(turnID), Epoch: 1}
	h.OnActivity(activities.TurnFinish, mock.Anything, mock.Anything).
		Return(activities.FinishOutput{Outcome: activities.OutcomeAnswered, Wake: []string{"message/b"}}, nil).Once()
	h.OnActivity(activities.TurnWake, mock.Anything, mock.Anything).Return(struct{}{}, nil).Once()
	require.Equal(t, activities.OutcomeAnswered, h.run().Outcome)
}

func TestAdoptedTurnGoesOnFromItsParts(t *testing.T) {
	t.Parallel()
	h := newHands(t)
	ref := activities.TurnRef{TurnID: turnID, Epoch: 2, WorkflowID: activities.TurnWorkflowID(turnID, 2), Leader: messageID}
	v := closed(false)
	v.Epoch, v.Answered = 2, true
	h.OnActivity(activities.TurnClose, mock.Anything, mock.Anything).Return(v, nil)
	h.OnActivity(activities.AgentReply, mock.Anything, mock.Anything).
		Return(activities.ReplyOutput{State: activities.StateClosed, Parts: 2}, nil)
	h.OnActivity(activities.DeliverSend, mock.Anything, mock.MatchedBy(func(in activities.SendInput) bool {
		return in.Turn.Epoch == 2 && in.Turn.WorkflowID == ref.WorkflowID
	})).Return(activities.SendOutput{Outcome: activities.OutcomeAnswered, Sent: 2, Finished: true}, nil)
	h.ExecuteWorkflow(workflows.TypeTurn, ref)
	require.NoError(t, h.GetWorkflowError())
	h.AssertExpectations(t)
}
