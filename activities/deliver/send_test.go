package deliver_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/omnihub/omni/activities"
	"github.com/omnihub/omni/activities/deliver"
	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
)

// script is the database and the platform of one reply: parts in memory, and a
// platform that does as it is told. What the functions of the database decide
// is tested against Postgres, in package store.
type script struct {
	deliver.Store // what the script does not play

	mu       sync.Mutex
	parts    []omni.PartClaim
	status   []string
	platform func(try int, out message.Outbound) error
	remember *channels.Reply
	tries    int
	shown    []string // what reached the chat, in order
	released int
	inst     omni.Instance
	caps     channels.Capabilities
	end      string
	cut      func() // what the cancel of the turn calls
	endWait  time.Duration

	retryAfter time.Duration // of the last receipt
	reason     string
	uncertain  int

	uncertainTry int
	doubted      []int // tries made before each hand-over of what may have arrived
	typed        []time.Time
	typing       func(ctx context.Context)
	shownAt      []time.Time
	withdrawn    chan string
	waits        func(ctx context.Context) // a slow platform
	observed     []string
}

func newScript(texts ...string) *script {
	s := &script{inst: omni.Instance{ID: uuid.New(), Channel: "custom", Settings: omni.DefaultSettings()},
		platform: func(int, message.Outbound) error { return nil }, withdrawn: make(chan string, 8)}
	for i, text := range texts {
		s.parts = append(s.parts, omni.PartClaim{MessageID: uuid.New(), Part: message.Part{Index: i, Count: len(texts)},
			Content: message.Content{Type: message.TypeText, Text: text}, Chat: message.Chat{ID: "c1"}})
		s.status = append(s.status, "queued")
	}
	return s
}

func (s *script) ClaimPart(_ context.Context, p omni.ClaimParams) (omni.PartClaim, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.parts {
		c := &s.parts[i]
		if s.end != "" && s.status[i] == "sending" {
			c.State = "settle"
			return *c, nil
		}
		if s.end != "" {
			continue
		}
		switch s.status[i] {
		case "queued", "sending":
			c.State = map[string]string{"queued": "claimed", "sending": "resume"}[s.status[i]]
			s.status[i] = "sending"
			c.Attempts++
			c.Sent = i
			return *c, nil
		case "unknown":
			if p.SkipUnknown {
				continue
			}
			fallthrough
		case "failed":
			return omni.PartClaim{State: "stopped", Status: s.status[i], MessageID: c.MessageID}, nil
		}
	}
	if s.end != "" {
		return omni.PartClaim{State: s.end, Wait: s.endWait}, nil
	}
	return omni.PartClaim{State: "done", Sent: len(s.parts)}, nil
}

func (s *script) setEnd(end string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end = end
}

func (s *script) ClaimOutbound(ctx context.Context, p omni.ClaimParams) (omni.PartClaim, error) {
	return s.ClaimPart(ctx, p)
}

func (s *script) ReceiptPart(_ context.Context, p omni.ReceiptParams) (bool, []string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sent := true
	for i := range s.parts {
		if s.parts[i].MessageID == p.MessageID {
			s.status[i] = p.Status
			s.retryAfter, s.reason = p.RetryAfter, p.Error
		}
		sent = sent && s.status[i] == "sent"
	}
	return sent, nil, nil
}

// LivePart: nothing is written while the agent speaks.
func (s *script) LivePart(context.Context, uuid.UUID) (*omni.LivePart, error) { return nil, nil } //nolint:nilnil // as documented

func (s *script) RenewSender(context.Context, uuid.UUID, uuid.UUID, string) error { return nil }

func (s *script) ReleaseSender(context.Context, uuid.UUID, uuid.UUID, string) error {
	s.released++
	return nil
}

func (s *script) Send(ctx context.Context, _ string, _ uuid.UUID, op channels.Operation, out message.Outbound, _ time.Time) (message.Receipt, error) {
	if op == channels.OpTyping {
		s.mu.Lock()
		s.typed = append(s.typed, time.Now())
		s.mu.Unlock()
		if s.typing != nil {
			s.typing(ctx)
		}
		return message.Receipt{}, nil
	}
	s.mu.Lock()
	s.tries++
	try := s.tries
	s.mu.Unlock()
	if s.waits != nil {
		s.waits(ctx)
	}
	if err := s.platform(try, out); err != nil {
		return message.Receipt{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shown, s.shownAt = append(s.shown, out.Content.Text), append(s.shownAt, time.Now())
	return message.Receipt{ExternalID: "x"}, nil
}

func (s *script) Withdraw(_ string, _ uuid.UUID, key string) error {
	s.withdrawn <- key
	return nil
}

func (s *script) UncertainPart(_ context.Context, _ uuid.UUID, try int, _ string) (int, error) {
	if try > s.uncertainTry {
		s.uncertain++
		s.uncertainTry = try
	}
	return s.uncertain, nil
}

func (s *script) DoubtPart(context.Context, uuid.UUID) error {
	s.doubted = append(s.doubted, s.tries)
	return nil
}

func (s *script) PartLength(_ context.Context, _ uuid.UUID, index int) (int, error) {
	return len(s.parts[index].Content.Text), nil
}

func (s *script) Outcome(context.Context, string, uuid.UUID, string) (*channels.Reply, error) {
	return s.remember, nil
}

func (s *script) Get(context.Context, uuid.UUID) (*omni.Instance, error) { return &s.inst, nil }

func (s *script) OnCancel(_ uuid.UUID, fn func()) (func(), error) {
	s.cut = fn
	return func() {}, nil
}

// cutOff cancels the turn: from now on no part is handed out, and its sender
// hears of it. A part found in sending is to be settled.
func (s *script) cutOff() {
	s.mu.Lock()
	s.end = "cancelled"
	s.mu.Unlock()
	s.cut()
}

func (s *script) activities() *deliver.Activities {
	return &deliver.Activities{Store: s, Gateway: s, Instances: s, Cancels: s, Latencies: &omni.Latencies{}, Owner: "o", Process: "p",
		Capabilities: func(string) channels.Capabilities { return s.caps },
		Observe:      func(_ context.Context, _, status string, _ time.Duration) { s.observed = append(s.observed, status) }}
}

func (s *script) run(t *testing.T) (activities.SendOutput, error) {
	t.Helper()
	return s.activities().Send(t.Context(), activities.SendInput{Turn: activities.TurnRef{TurnID: uuid.New(), Channel: "custom"}})
}

// laterDelay is the pause before the next try.
func laterDelay(t *testing.T, err error) time.Duration {
	t.Helper()
	return delayOf(t, err, activities.ErrTypeDeliverLater)
}

func delayOf(t *testing.T, err error, errType string) time.Duration {
	t.Helper()
	var app *temporal.ApplicationError
	require.ErrorAs(t, err, &app)
	require.Equal(t, errType, app.Type())
	require.False(t, app.NonRetryable())
	return app.NextRetryDelay()
}

func TestPartsGoOutInOrder(t *testing.T) {
	t.Parallel()
	s := newScript("one", "two", "three")
	out, err := s.run(t)
	require.NoError(t, err)
	require.Equal(t, activities.SendOutput{Outcome: activities.OutcomeAnswered, Sent: 3, Finished: true}, out)
	require.Equal(t, []string{"one", "two", "three"}, s.shown)
	require.Zero(t, s.released, "the last receipt gave the leases back")
}

// 429: known not to have been sent; the next try waits as told and goes on at
// the same part.
func TestRateLimitWaitsAsTold(t *testing.T) {
	t.Parallel()
	s := newScript("one", "two")
	s.platform = func(try int, _ message.Outbound) error {
		if try == 2 {
			return &channels.SendError{Kind: channels.ErrRateLimited, Certain: true, RetryAfter: 7 * time.Second, Reason: "429"}
		}
		return nil
	}
	_, err := s.run(t)
	require.Equal(t, 7*time.Second, delayOf(t, err, activities.ErrTypeDeliverLimited))
	require.ErrorContains(t, err, "rate_limited: 429 (this chat waits 7s)", "Temporal's UI says why")
	require.Equal(t, 7*time.Second, s.retryAfter, "whoever goes on is told by the row")
	require.Equal(t, "rate_limited: 429 (this chat waits 7s)", s.reason, "and people by the message")
	require.Equal(t, []string{"sent", "queued"}, s.status)
	require.Equal(t, s.status, s.observed)
	require.Equal(t, 1, s.released)
	_, err = s.run(t)
	require.NoError(t, err)
	require.Equal(t, []string{"one", "two"}, s.shown)
}

func TestRefusedPartStopsTheRest(t *testing.T) {
	t.Parallel()
	s := newScript("one", "two", "three")
	s.platform = func(try int, _ message.Outbound) error {
		if try == 2 {
			return &channels.SendError{Kind: channels.ErrRejected, Certain: true, Reason: "400"}
		}
		return nil
	}
	out, err := s.run(t)
	require.NoError(t, err)
	require.Equal(t, activities.OutcomeFailed, out.Outcome)
	require.Equal(t, []string{"one"}, s.shown)
	require.Equal(t, []string{"sent", "failed", "queued"}, s.status)
	require.Equal(t, []string{"sent", "failed"}, s.observed)
}

func TestUncertainSend(t *testing.T) {
	t.Parallel()
	timeout := &channels.SendError{Kind: channels.ErrUnknown, Reason: "timeout"}
	for name, c := range map[string]struct {
		idempotent bool
		policy     string
		err        error
		status     []string
		outcome    string
		later      bool
		shown      []string
		observed   []string
	}{
		"client id: the same key again": {idempotent: true, policy: "hold", err: timeout, status: []string{"sending", "queued"}, later: true},
		"hold":                          {policy: "hold", err: timeout, status: []string{"unknown", "queued"}, outcome: activities.OutcomeUnknown, observed: []string{"unknown"}},
		"skip": {policy: "skip", err: timeout, status: []string{"unknown", "sent"}, outcome: activities.OutcomeAnswered, shown: []string{"two"},
			observed: []string{"unknown", "sent"}},
		"resend": {policy: "resend", err: timeout, status: []string{"sending", "queued"}, later: true},
		"not certain, transient, no client id": {policy: "hold", status: []string{"unknown", "queued"}, outcome: activities.OutcomeUnknown,
			observed: []string{"unknown"}, err: &channels.SendError{Kind: channels.ErrTransient, Reason: "connection reset"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScript("one", "two")
			s.caps.IdempotentSend, s.inst.Settings.Messaging.UnknownPolicy = c.idempotent, c.policy
			s.platform = func(try int, _ message.Outbound) error {
				if try == 1 {
					return c.err
				}
				return nil
			}
			out, err := s.run(t)
			if c.later {
				laterDelay(t, err)
			} else {
				require.NoError(t, err)
				require.Equal(t, c.outcome, out.Outcome)
			}
			require.Equal(t, c.status, s.status)
			require.Equal(t, c.shown, s.shown)
			require.Equal(t, c.observed, s.observed, "nothing is known before there is a receipt")
		})
	}
}

// A part found in sending: the former sender died between claim and receipt.
func TestResume(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		remember   *channels.Reply
		idempotent bool
		outcome    string
		tries      int
	}{
		"the gateway remembers that it was sent":   {remember: &channels.Reply{Receipt: &message.Receipt{ExternalID: "y"}}, outcome: activities.OutcomeAnswered},
		"a channel with client ids is asked again": {idempotent: true, outcome: activities.OutcomeAnswered, tries: 1},
		"else it is unknown":                       {outcome: activities.OutcomeUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScript("one")
			s.status[0], s.remember, s.caps.IdempotentSend = "sending", c.remember, c.idempotent
			out, err := s.run(t)
			require.NoError(t, err)
			require.Equal(t, c.outcome, out.Outcome)
			require.Equal(t, c.tries, s.tries)
			require.Len(t, s.doubted, c.tries, "that it may have arrived is written down before it is handed over again")
		})
	}
}

// Refused under the same key after a try that may have arrived: that is
// remembered. After tries that were all refused there is no doubt.
func TestDoubtIsWrittenDownBeforeTheNextTry(t *testing.T) {
	t.Parallel()
	s := newScript("one")
	s.caps.IdempotentSend = true
	s.platform = func(try int, _ message.Outbound) error {
		if try == 2 {
			return &channels.SendError{Kind: channels.ErrUnknown, Reason: "timeout"}
		}
		return &channels.SendError{Kind: channels.ErrRateLimited, Certain: true, RetryAfter: time.Second, Reason: "429"}
	}
	for range 3 {
		_, err := s.run(t)
		require.Error(t, err)
	}
	require.Equal(t, []int{2}, s.doubted)
	require.Equal(t, []string{"queued"}, s.status)
}

func TestStopsWhereTheTurnIsNoLongerMine(t *testing.T) {
	t.Parallel()
	for state, outcome := range map[string]string{"cancelled": activities.OutcomeCancelled, "adopted": activities.OutcomeAdopted,
		"expired": activities.OutcomeExpired} {
		s := newScript("one")
		s.end = state
		out, err := s.run(t)
		require.NoError(t, err)
		require.Equal(t, outcome, out.Outcome)
		require.Empty(t, s.shown)
	}
}

func TestForeignErrorIsRetried(t *testing.T) {
	t.Parallel()
	s := newScript("one")
	s.platform = func(int, message.Outbound) error { return errors.New("a bug") }
	_, err := s.run(t)
	require.EqualError(t, err, "a bug")
	require.Equal(t, []string{"sending"}, s.status)
}

// A part that was claimed with its answer is handed over by the delivery that
// follows, once, and only by one of the same workflow and epoch.
func TestKeptClaimIsDelivered(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		asks func(*activities.TurnRef)
		want int // claims that the delivery makes itself
	}{
		"the same":         {func(*activities.TurnRef) {}, 0},
		"another epoch":    {func(r *activities.TurnRef) { r.Epoch++ }, 1},
		"another workflow": {func(r *activities.TurnRef) { r.WorkflowID = "turn/2" }, 1},
		"another turn":     {func(r *activities.TurnRef) { r.TurnID = uuid.New() }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScript("one")
			a := s.activities()
			turn := activities.TurnRef{TurnID: uuid.New(), Channel: "custom", WorkflowID: "message/1", Epoch: 1}
			p := a.Claiming(&s.inst, turn)
			require.Equal(t, turn.TurnID, p.TurnID)
			claim, err := s.ClaimPart(t.Context(), p)
			require.NoError(t, err)
			require.True(t, a.Keep(p, claim))
			c.asks(&turn)
			s.remember = &channels.Reply{Receipt: &message.Receipt{ExternalID: "resumed"}}
			out, err := a.Send(t.Context(), activities.SendInput{Turn: turn})
			require.NoError(t, err)
			require.Equal(t, activities.OutcomeAnswered, out.Outcome)
			require.Equal(t, 1+c.want, s.parts[0].Attempts)
		})
	}
}

func TestWhatWasNotClaimedIsNotKept(t *testing.T) {
	t.Parallel()
	s := newScript("one")
	a := s.activities()
	turn := activities.TurnRef{TurnID: uuid.New(), Channel: "custom"}
	require.False(t, a.Keep(a.Claiming(&s.inst, turn), omni.PartClaim{State: "busy"}))
	out, err := a.Send(t.Context(), activities.SendInput{Turn: turn})
	require.NoError(t, err)
	require.Equal(t, activities.OutcomeAnswered, out.Outcome)
	require.Equal(t, []string{"one"}, s.shown)
}

// A reaction of an agent goes to the message that it is for, as a reaction; one
// whose fate is not known is simply put there again.
func TestReactions(t *testing.T) {
	t.Parallel()
	s := newScript("", "hi")
	s.parts[0].Content = message.Content{Type: message.TypeReaction, Reaction: &message.Reaction{Emoji: "👍"}}
	s.parts[0].ReplyTo = "their-message"
	var handed []message.Outbound
	s.platform = func(_ int, out message.Outbound) error {
		handed = append(handed, out)
		if len(handed) == 1 {
			return &channels.SendError{Kind: channels.ErrTransient, Reason: "cut"}
		}
		return nil
	}
	_, err := s.run(t)
	require.Error(t, err, "tried again later")
	out, err := s.run(t)
	require.NoError(t, err)
	require.Equal(t, activities.OutcomeAnswered, out.Outcome)
	require.Len(t, handed, 3)
	for _, out := range handed[:2] {
		require.Equal(t, message.KindReaction, out.Kind)
		require.Equal(t, "their-message", out.TargetID)
		require.Empty(t, out.ReplyTo)
	}
	require.Equal(t, message.KindMessage, handed[2].Kind)
}
