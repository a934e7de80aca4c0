package agent_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/testsuite"
	"go.uber.org/goleak"

	"github.com/omnihub/omni/activities"
	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestReplyIsSplitAndStored(t *testing.T) {
	t.Parallel()
	w := newWorld(t, says("**One**\n\n- two\n- three"))
	w.caps = channels.Capabilities{MaxTextLength: 4096, LengthUnit: channels.UnitUTF16, Markup: channels.MarkupTelegramHTML}
	turn := w.say(dm, "Ana", "hello")
	out, err := w.reply(turn)
	require.NoError(t, err)
	require.Equal(t, activities.ReplyOutput{State: activities.StateClosed, Parts: 2}, out)
	require.Equal(t, []string{"user: hello"}, <-w.asked)
	require.Equal(t, []string{"<b>One</b>", "• two\n• three"}, w.deliver(turn))

	said := w.events(turn, omni.EventAgentResponse)
	require.Len(t, said, 1)
	require.Equal(t, "**One**\n\n- two\n- three", said[0]["text"])
	require.Equal(t, "m1", said[0]["model"])
	require.Equal(t, "agent.Reply", said[0]["step"])
	require.Equal(t, []string{"openai ok"}, w.outcomes())
	require.Zero(t, w.cancels.listening())
}

func TestReplyWithoutAutoSplit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, says("one\n\ntwo"))
	w.inst.Settings.Messaging.EnableAutoSplit = false
	require.Equal(t, []string{"one\n\ntwo"}, w.converse(w.say(dm, "Ana", "hello")))
}

func TestReplyOfEcho(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.inst.Settings.Agent.Provider = omni.ProviderEcho
	require.Equal(t, []string{"hello", "world"}, w.converse(w.say(dm, "Ana", "hello\n\nworld")))
}

func TestReplyDeliversQuicklyWhereTheChannelIsQuick(t *testing.T) {
	t.Parallel()
	w := newWorld(t, says("one"))
	for range 20 {
		w.Deliveries.Observe("custom", time.Millisecond)
	}
	out, err := w.reply(w.say(dm, "Ana", "hello"))
	require.NoError(t, err)
	require.True(t, out.QuickDelivery)

	w.llm = says("one\n\ntwo")
	out, err = w.reply(w.say(message.Chat{ID: "c2"}, "Ana", "hello"))
	require.NoError(t, err)
	require.False(t, out.QuickDelivery, "two parts")
}

func TestTheFirstStoredAnswerWins(t *testing.T) {
	t.Parallel()
	w := newWorld(t, says("first"))
	turn := w.say(dm, "Ana", "hello")
	_, err := w.reply(turn)
	require.NoError(t, err)
	w.llm = says("second")
	out, err := w.reply(turn)
	require.NoError(t, err)
	require.Equal(t, activities.ReplyOutput{State: activities.StateClosed, Parts: 1}, out)
	require.Len(t, w.asked, 1, "the agent is not asked again")
	require.Equal(t, []string{"first"}, w.deliver(turn))
}

func TestReplyOfATurnThatIsSomebodyElses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, says("hi"))
	turn := w.say(dm, "Ana", "hello")
	other := turn
	other.WorkflowID = "turn/x/2"
	out, err := w.reply(other)
	require.NoError(t, err)
	require.Equal(t, activities.StateAdopted, out.State)
	require.Empty(t, w.asked)
}

func TestReplyWithNothingToSay(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.inst.Settings.Agent.Provider = omni.ProviderEcho
	out, err := w.reply(w.say(dm, "Ana", ""))
	require.NoError(t, err)
	require.Equal(t, activities.ReplyOutput{State: activities.StateClosed}, out)
}

func TestHistoryIsWhatPeopleSaw(t *testing.T) {
	t.Parallel()
	w := newWorld(t, says("**Hi**\n\nthere"))
	w.caps.Markup = channels.MarkupTelegramHTML
	w.converse(w.say(dm, "Ana", "hello"))
	<-w.asked
	// An answer that never went out is not part of the past.
	w.llm = says("unsent")
	lost := w.say(dm, "Ana", "second")
	_, err := w.reply(lost)
	require.NoError(t, err)
	_, _, err = w.st.FinishTurn(t.Context(), omni.FinishParams{ChatID: lost.ChatID, TurnID: lost.TurnID, WorkflowID: lost.WorkflowID,
		Epoch: lost.Epoch, Outcome: "failed", Attempt: omni.Attempt{StartedAt: time.Now(), Number: 1}})
	require.NoError(t, err)
	<-w.asked
	w.record(message.Chat{ID: "c2"}, "Bo", "in another chat")

	w.converse(w.say(dm, "Ana", "third"))
	require.Equal(t, []string{"user: hello", "assistant: **Hi**\n\nthere", "user: second", "user: third"}, <-w.asked)

	w.inst.Settings.Agent.HistoryMessages = 1
	w.converse(w.say(dm, "Ana", "fourth"))
	require.Equal(t, []string{"assistant: unsent", "user: fourth"}, <-w.asked)
	w.inst.Settings.Agent.HistoryMessages = 0
	w.converse(w.say(dm, "Ana", "fifth"))
	require.Equal(t, []string{"user: fifth"}, <-w.asked)
}

// A reaction says what it was put on, as the agent had written it.
func TestReactionIsToldWithWhatItIsOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, says("**Shall** I book it?"))
	w.caps.Markup = channels.MarkupTelegramHTML
	asked := w.say(dm, "Ana", "a table for two")
	require.Equal(t, []string{"<b>Shall</b> I book it?"}, w.converse(asked))
	<-w.asked
	reaction := w.recordAs(dm, "Ana", func(in *message.Inbound) {
		in.Kind, in.TargetID = message.KindReaction, "x-"+omni.PartID(asked.TurnID, 0).String()
		in.Content = message.Content{Type: message.TypeReaction, Reaction: &message.Reaction{Emoji: "👍"}}
	})
	w.converse(w.lead("", reaction))
	require.Equal(t, []string{"user: a table for two", "assistant: **Shall** I book it?",
		`user: [reaction: 👍 to your message "**Shall** I book it?"]`}, <-w.asked)
}

func TestHistoryInGroupsNamesPeople(t *testing.T) {
	t.Parallel()
	w := newWorld(t, says("ok"))
	group := message.Chat{ID: "g1", Type: message.ChatGroup}
	w.converse(w.say(group, "Ana", "one"))
	<-w.asked
	w.overhear(group, "Bo", "by the way") // nobody was meant, but it was said
	w.converse(w.say(group, "Ana", "two"))
	require.Equal(t, []string{"user(Ana): one", "assistant: ok", "user(Bo): by the way", "user(Ana): two"}, <-w.asked)
}

func TestHistoryOfAPersonsSession(t *testing.T) {
	t.Parallel()
	w := newWorld(t, says("ok"))
	group := message.Chat{ID: "g1", Type: message.ChatGroup}
	ana, bo := "person:"+uuid.NewString(), "person:"+uuid.NewString()
	w.converse(w.sayIn(ana, dm, "Ana", "in private"))
	w.converse(w.sayIn(bo, group, "Bo", "in the group"))
	<-w.asked
	<-w.asked
	w.converse(w.sayIn(ana, group, "Ana", "now here"))
	require.Equal(t, []string{"user(Ana): in private", "assistant: ok", "user(Ana): now here"}, <-w.asked)
}

func TestFailuresThatAreRepeated(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		llm     http.HandlerFunc
		errType string
		kind    string
		after   time.Duration
	}{
		"429":  {fails(429, "Retry-After", "7"), activities.ErrTypeAgentRateLimited, "rate_limited", 7 * time.Second},
		"500":  {fails(500), activities.ErrTypeAgentTransient, "transient", 0},
		"cut":  {func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Content-Length", "999"); says("x")(w, r) }, activities.ErrTypeAgentTransient, "cut", 0},
		"page": {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Type", "text/html") }, activities.ErrTypeAgentMalformed, "malformed", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, tc.llm)
			turn := w.say(dm, "Ana", "hello")
			_, err := w.reply(turn)
			app := requireApplicationError(t, err, tc.errType, false)
			require.Equal(t, tc.after, app.NextRetryDelay())
			said := w.events(turn, omni.EventAgentError)
			require.Len(t, said, 1)
			require.Equal(t, tc.kind, said[0]["kind"])
			require.Equal(t, false, said[0]["final"])
			require.EqualValues(t, 1, said[0]["attempts"])
			require.EqualValues(t, tc.after.Milliseconds(), said[0]["retryAfterMs"])
			require.NotContains(t, said[0]["error"], "hush")

			w.llm = says("at last")
			require.Equal(t, []string{"at last"}, w.converse(turn))
		})
	}
}

func TestFailuresThatAreFinal(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change  func(*world)
		errType string
	}{
		"401":           {func(w *world) { w.llm = fails(401) }, activities.ErrTypeAgentBadCredentials},
		"403":           {func(w *world) { w.llm = fails(403) }, activities.ErrTypeAgentBadCredentials},
		"400":           {func(w *world) { w.llm = fails(400) }, activities.ErrTypeAgentBadRequest},
		"nothing said":  {func(w *world) { w.llm = says(" ") }, activities.ErrTypeAgentMalformed},
		"no provider":   {func(w *world) { w.inst.Settings.Agent.Provider = "nobody" }, activities.ErrTypeAgentUnsupported},
		"no agent":      {func(w *world) { w.inst.Settings.Agent = nil }, activities.ErrTypeAgentUnsupported},
		"instance gone": {func(w *world) { w.inst = nil }, activities.ErrTypeAgentUnsupported},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			turn := w.say(dm, "Ana", "hello")
			tc.change(w)
			_, err := w.reply(turn)
			requireApplicationError(t, err, tc.errType, true)
			require.Empty(t, w.events(turn, omni.EventAgentError), "agent.GiveUp writes the final one")
		})
	}
}

// hangs answers only when its caller has gone.
func hangs(gone chan<- struct{}) http.HandlerFunc {
	return func(_ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		gone <- struct{}{}
	}
}

func TestAgentThatNeverAnswers(t *testing.T) {
	t.Parallel()
	gone := make(chan struct{}, 1)
	w := newWorld(t, hangs(gone))
	w.inst.Settings.Agent.TimeoutSeconds = 1
	turn := w.say(dm, "Ana", "hello")
	_, err := w.reply(turn)
	requireApplicationError(t, err, activities.ErrTypeAgentTransient, false)
	require.ErrorContains(t, err, "no answer within 1 s")
	<-gone
	require.Len(t, w.events(turn, omni.EventAgentError), 1)
	require.Equal(t, []string{"openai transient"}, w.outcomes())
}

func TestTheQuickPathsDeadline(t *testing.T) {
	t.Parallel()
	gone := make(chan struct{}, 1)
	w := newWorld(t, hangs(gone))
	turn := w.say(dm, "Ana", "hello")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := w.Reply(ctx, activities.ReplyInput{Turn: turn})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	<-gone
	require.Empty(t, w.events(turn, omni.EventAgentError), "the regular activity takes over")

	w.llm = says("slowly")
	require.Equal(t, []string{"slowly"}, w.converse(turn))
}

func TestTakeoverCancelsTheCall(t *testing.T) {
	t.Parallel()
	gone := make(chan struct{}, 1)
	w := newWorld(t, hangs(gone))
	turn := w.say(dm, "Ana", "hello")
	type result struct {
		out activities.ReplyOutput
		err error
	}
	results := make(chan result, 1)
	go func() {
		out, err := w.Reply(t.Context(), activities.ReplyInput{Turn: turn})
		results <- result{out, err}
	}()
	<-w.asked
	_, err := w.st.Pool().Exec(t.Context(), `SELECT chat_takeover($1, NULL, 'test')`, turn.ChatID)
	require.NoError(t, err)
	w.cancels.cancel(turn.TurnID)
	<-gone
	r := <-results
	require.NoError(t, r.err)
	require.Equal(t, activities.ReplyOutput{State: activities.StateCancelled}, r.out)
	require.Equal(t, []string{"openai cancelled"}, w.outcomes())
	require.False(t, w.Quick.Agent(t.Context(), w.inst))
}

func TestACancelWithoutReasonIsRepeated(t *testing.T) {
	t.Parallel()
	gone := make(chan struct{}, 1)
	w := newWorld(t, hangs(gone))
	turn := w.say(dm, "Ana", "hello")
	errs := make(chan error, 1)
	go func() {
		_, err := w.Reply(t.Context(), activities.ReplyInput{Turn: turn})
		errs <- err
	}()
	<-w.asked
	w.cancels.cancel(turn.TurnID)
	<-gone
	requireApplicationError(t, <-errs, activities.ErrTypeAgentTransient, false)
}

func TestATakeoverDuringAFailingCall(t *testing.T) {
	t.Parallel()
	var w *world
	var turn activities.TurnRef
	w = newWorld(t, func(rw http.ResponseWriter, r *http.Request) {
		if _, err := w.st.Pool().Exec(r.Context(), `SELECT chat_takeover($1, NULL, 'test')`, turn.ChatID); err != nil {
			http.Error(rw, err.Error(), http.StatusTeapot)
			return
		}
		fails(500)(rw, r)
	})
	turn = w.say(dm, "Ana", "hello")
	out, err := w.reply(turn)
	require.NoError(t, err)
	require.Equal(t, activities.StateCancelled, out.State)
}

// Somebody is at work from the call on, or from noticeSeconds on where that is
// said; not after the answer.
func TestTypingWhileTheAgentThinks(t *testing.T) {
	t.Parallel()
	for notice, after := range map[int]time.Duration{0: 700 * time.Millisecond, 1: time.Second} {
		t.Run(fmt.Sprint(notice), func(t *testing.T) {
			t.Parallel()
			var w *world
			called, typed := make(chan time.Time, 1), make(chan time.Time, 1)
			w = newWorld(t, func(rw http.ResponseWriter, r *http.Request) {
				called <- time.Now()
				select {
				case c := <-w.typed:
					typed <- time.Now()
					w.typed <- c
					says("thought about it")(rw, r)
				case <-r.Context().Done():
				}
			})
			w.caps.Typing, w.caps.TypingSeconds = true, 0.02
			w.inst.Settings.Agent.NoticeSeconds = notice
			require.Equal(t, []string{"thought about it"}, w.converse(w.say(dm, "Ana", "hello")))
			require.InDelta(t, after.Seconds(), (<-typed).Sub(<-called).Seconds(), 0.5)
			require.Equal(t, "c1", (<-w.typed).ID)
			for len(w.typed) > 0 {
				<-w.typed
			}
			require.Never(t, func() bool { return len(w.typed) > 0 }, 100*time.Millisecond, 10*time.Millisecond, "it ended with the answer")
		})
	}
}

// As a regular activity the step sends heartbeats while the agent thinks.
func TestReplyHeartbeats(t *testing.T) {
	t.Parallel()
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestActivityEnvironment()
	beats := make(chan struct{}, 100)
	env.SetOnActivityHeartbeatListener(func(*activity.Info, converter.EncodedValues) { beats <- struct{}{} })
	w := newWorld(t, func(rw http.ResponseWriter, r *http.Request) {
		<-beats
		says("alive")(rw, r)
	})
	env.RegisterActivityWithOptions(w.Reply, activity.RegisterOptions{Name: activities.AgentReply})
	turn := w.say(dm, "Ana", "hello")
	value, err := env.ExecuteActivity(activities.AgentReply, activities.ReplyInput{Turn: turn})
	require.NoError(t, err)
	var out activities.ReplyOutput
	require.NoError(t, value.Get(&out))
	require.Equal(t, 1, out.Parts)
}

func TestGiveUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fails(500))
	w.inst.Settings.Agent.FallbackText = "Sorry.\n\nLater."
	turn := w.say(dm, "Ana", "hello")
	for range 2 {
		_, err := w.reply(turn)
		require.Error(t, err)
	}
	in := activities.GiveUpInput{Turn: turn, Error: "transient (500): no", Type: activities.ErrTypeAgentTransient}
	for range 2 { // a step may run again
		out, err := w.GiveUp(t.Context(), in)
		require.NoError(t, err)
		require.Equal(t, activities.ReplyOutput{State: activities.StateClosed, Parts: 2}, out)
	}
	require.Equal(t, []string{"Sorry.", "Later."}, w.deliverAs(turn, activities.OutcomeFallback))
	said := w.events(turn, omni.EventAgentError)
	require.Len(t, said, 3)
	for i, attempts := range []int{1, 2, 2} { // each failed call, and the end of it
		require.EqualValues(t, attempts, said[i]["attempts"])
		require.Equal(t, i == 2, said[i]["final"])
	}
	require.Equal(t, true, w.events(turn, omni.EventAgentResponse)[0]["fallback"])
	var attempts int
	require.NoError(t, w.st.Pool().QueryRow(t.Context(), `SELECT attempts FROM dead_letters WHERE turn_id = $1`, turn.TurnID).Scan(&attempts))
	require.Equal(t, 2, attempts)
	took, err := w.st.AgentLatencies(t.Context(), w.inst.ID, "", 20)
	require.NoError(t, err)
	require.Empty(t, took, "a fallback says nothing of how quick the agent is")
}

func TestGiveUpWithoutFallback(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fails(401))
	turn := w.say(dm, "Ana", "hello")
	out, err := w.GiveUp(t.Context(), activities.GiveUpInput{Turn: turn, Error: "no", Type: activities.ErrTypeAgentBadCredentials})
	require.NoError(t, err)
	require.Equal(t, activities.ReplyOutput{State: activities.StateClosed}, out)
	w.inst = nil
	_, err = w.GiveUp(t.Context(), activities.GiveUpInput{Turn: turn, Error: "no"}) // the step runs again
	require.NoError(t, err)
	require.Len(t, w.events(turn, omni.EventAgentError), 1, "a failure is told once")
	var letters int
	require.NoError(t, w.st.Pool().QueryRow(t.Context(), `SELECT count(*) FROM dead_letters WHERE turn_id = $1`, turn.TurnID).Scan(&letters))
	require.Equal(t, 1, letters)
}

func TestGiveUpAfterAnAnswerArrived(t *testing.T) {
	t.Parallel()
	w := newWorld(t, says("here"))
	turn := w.say(dm, "Ana", "hello")
	_, err := w.reply(turn)
	require.NoError(t, err)
	out, err := w.GiveUp(t.Context(), activities.GiveUpInput{Turn: turn, Error: "too late"})
	require.NoError(t, err)
	require.Equal(t, activities.ReplyOutput{State: activities.StateClosed, Parts: 1}, out)
	require.Equal(t, []string{"here"}, w.deliver(turn))
}

func TestGiveUpOfACancelledTurn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	turn := w.say(dm, "Ana", "hello")
	_, err := w.st.Pool().Exec(t.Context(), `SELECT chat_takeover($1, NULL, 'test')`, turn.ChatID)
	require.NoError(t, err)
	out, err := w.GiveUp(t.Context(), activities.GiveUpInput{Turn: turn, Error: "no"})
	require.NoError(t, err)
	require.Equal(t, activities.StateCancelled, out.State)
}

func TestAStoreThatFailsIsNoAgentError(t *testing.T) {
	t.Parallel()
	w := newWorld(t, says("hi"))
	turn := w.say(dm, "Ana", "hello")
	turn.TurnID = uuid.New()
	_, err := w.reply(turn)
	require.ErrorIs(t, err, omni.ErrNotFound, "%v", err)
}

// handover is the delivery of the same process.
type handover struct{ kept []omni.PartClaim }

func (h *handover) Claiming(_ *omni.Instance, turn activities.TurnRef) omni.ClaimParams {
	return omni.ClaimParams{ChatID: turn.ChatID, TurnID: turn.TurnID, WorkflowID: turn.WorkflowID, Epoch: turn.Epoch,
		Sender: "me/1/1", TTL: time.Hour, StartedAt: time.Now()}
}

func (h *handover) Keep(_ omni.ClaimParams, c omni.PartClaim) bool {
	h.kept = append(h.kept, c)
	return true
}

// A single part is claimed with its answer where its delivery follows in this
// process, on a channel that takes a client id; else by the delivery.
func TestSinglePartIsClaimedWithItsAnswer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer, process string
		idempotent      bool
		warm            int
		want            bool
	}{
		"the same process":       {"one", "p1", true, 20, true},
		"another process":        {"one", "p2", true, 20, false},
		"a process not known":    {"one", "", true, 20, false},
		"two parts":              {"one\n\ntwo", "p1", true, 20, false},
		"no client id":           {"one", "p1", false, 20, false},
		"a channel not so quick": {"one", "p1", true, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, says(c.answer))
			h := &handover{}
			w.Sender, w.Process, w.caps = h, "p1", channels.Capabilities{IdempotentSend: c.idempotent}
			for range c.warm {
				w.Deliveries.Observe("custom", time.Millisecond)
			}
			out, err := w.Reply(t.Context(), activities.ReplyInput{Turn: w.say(dm, "Ana", "hello"), Process: c.process})
			require.NoError(t, err)
			require.Equal(t, activities.StateClosed, out.State)
			if !c.want {
				require.Empty(t, h.kept)
				return
			}
			require.True(t, out.QuickDelivery)
			require.Len(t, h.kept, 1)
			require.Equal(t, "claimed", h.kept[0].State)
			require.Equal(t, "one", h.kept[0].Content.Text)
		})
	}
}
