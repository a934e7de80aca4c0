package gateway_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
)

// paced is a world whose platform has rates.
func paced(t *testing.T, caps channels.Capabilities, send func(ctx context.Context, out message.Outbound) (message.Receipt, error)) (*world, *omni.Instance) {
	t.Helper()
	w := newWorld(t)
	w.fake.caps, w.fake.sendFunc = caps, send
	w.gateway("a")
	in := w.instance(`{}`)
	w.awaitServed(in.ID)
	return w, in
}

// What the platform limited is not asked of it again before its time; the
// rest goes on.
func TestA429HoldsUpItsChatOrItsAccount(t *testing.T) {
	t.Parallel()
	for scope, othersWait := range map[channels.Scope]bool{channels.ScopeChat: false, channels.ScopeUnknown: false, channels.ScopeAccount: true} {
		t.Run("scope "+string(scope), func(t *testing.T) {
			t.Parallel()
			asked := make(chan string, 16)
			w, in := paced(t, channels.Capabilities{}, func(_ context.Context, out message.Outbound) (message.Receipt, error) {
				asked <- out.Key
				if out.Key == "first" {
					return message.Receipt{}, &channels.SendError{Kind: channels.ErrRateLimited, Certain: true, Scope: scope, RetryAfter: time.Minute}
				}
				return message.Receipt{ExternalID: "x"}, nil
			})
			_, failure := w.send(in.ID, "c1", "first", time.Time{})
			require.Equal(t, time.Minute, failure.RetryAfter)
			require.Equal(t, "first", receive(t, asked))
			_, failure = w.send(in.ID, "c1", "second", time.Time{})
			require.Equal(t, channels.ErrRateLimited, failure.Kind)
			require.True(t, failure.Certain)
			require.InDelta(t, 60, failure.RetryAfter.Seconds(), 10)
			_, failure = w.send(in.ID, "c2", "other", time.Time{})
			if othersWait {
				require.Equal(t, channels.ErrRateLimited, failure.Kind)
				require.Equal(t, channels.ScopeAccount, failure.Scope)
				require.Empty(t, asked)
				return
			}
			require.Nil(t, failure)
			require.Equal(t, "other", receive(t, asked))
		})
	}
}

// Nobody says whose limit it is: the second chat that meets it shows that it
// is the account's, and a third is not tried.
func TestTwoLimitedChatsMeanTheAccount(t *testing.T) {
	t.Parallel()
	w, in := paced(t, channels.Capabilities{}, func(context.Context, message.Outbound) (message.Receipt, error) {
		return message.Receipt{}, &channels.SendError{Kind: channels.ErrRateLimited, Certain: true, RetryAfter: time.Minute}
	})
	for i, scope := range []channels.Scope{channels.ScopeChat, channels.ScopeAccount, channels.ScopeAccount} {
		_, failure := w.send(in.ID, fmt.Sprint("c", i), fmt.Sprint("k", i), time.Time{})
		require.Equal(t, scope, failure.Scope)
	}
}

// The limit outlives the session: a restart by call is no way around it.
func TestALimitOutlivesTheSession(t *testing.T) {
	t.Parallel()
	w, in := paced(t, channels.Capabilities{}, func(context.Context, message.Outbound) (message.Receipt, error) {
		return message.Receipt{}, &channels.SendError{Kind: channels.ErrRateLimited, Certain: true, Scope: channels.ScopeAccount, RetryAfter: time.Minute}
	})
	_, failure := w.send(in.ID, "c1", "k1", time.Time{})
	require.Equal(t, channels.ErrRateLimited, failure.Kind)
	receive(t, w.fake.started)
	require.NoError(t, w.bus.RequestRestart(t.Context(), in.ID))
	receive(t, w.fake.started)
	w.awaitServed(in.ID)
	w.fake.sendFunc = nil
	_, failure = w.send(in.ID, "c2", "k2", time.Time{})
	require.Equal(t, channels.ScopeAccount, failure.Scope)
}

// A chat's rate is kept for every request of the chat, and costs the others nothing.
func TestAChatKeepsToItsRate(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	times := map[string][]time.Time{}
	w, in := paced(t, channels.Capabilities{ChatPerSecond: 1}, func(_ context.Context, out message.Outbound) (message.Receipt, error) {
		mu.Lock()
		defer mu.Unlock()
		times[out.Chat.ID] = append(times[out.Chat.ID], time.Now())
		return message.Receipt{ExternalID: out.Key}, nil
	})
	began := time.Now()
	var wg sync.WaitGroup
	for i := range 3 {
		wg.Go(func() {
			if _, failure := w.send(in.ID, "c1", fmt.Sprint(i), time.Time{}); failure != nil {
				t.Error(failure)
			}
		})
	}
	for i := range 100 {
		wg.Go(func() {
			if _, failure := w.send(in.ID, fmt.Sprint("other", i), fmt.Sprint("o", i), time.Time{}); failure != nil {
				t.Error(failure)
			}
		})
	}
	wg.Wait()
	for i, at := range times["c1"] {
		require.GreaterOrEqual(t, at.Sub(began), time.Duration(i)*time.Second-50*time.Millisecond)
	}
	for i := range 100 {
		require.Less(t, times[fmt.Sprint("other", i)][0].Sub(began), time.Second, "more chats wait than may send at once, and hold nobody up")
	}
}

// Who would wait too long is told when to come back, and holds no request.
func TestALongWaitIsSentAway(t *testing.T) {
	t.Parallel()
	w, in := paced(t, channels.Capabilities{GroupPerMinute: 4}, nil)
	group := message.Chat{ID: "g", Type: message.ChatGroup}
	_, failure := w.sendTo(in.ID, group, "k1", time.Time{})
	require.Nil(t, failure)
	began := time.Now()
	_, failure = w.sendTo(in.ID, group, "k2", time.Time{})
	require.Less(t, time.Since(began), time.Second)
	require.Equal(t, channels.ErrRateLimited, failure.Kind)
	require.True(t, failure.Certain)
	require.InDelta(t, 20, failure.RetryAfter.Seconds(), 2)
}

// A bubble that waits at the gate is not sent once nobody wants it any more,
// and whoever asked knows that for certain.
func TestAWaitingBubbleCanBeWithdrawn(t *testing.T) {
	t.Parallel()
	asked := make(chan string, 4)
	const every = 1900 * time.Millisecond
	w, in := paced(t, channels.Capabilities{ChatPerSecond: 1 / every.Seconds()}, func(_ context.Context, out message.Outbound) (message.Receipt, error) {
		asked <- out.Key
		return message.Receipt{ExternalID: "x"}, nil
	})
	_, failure := w.send(in.ID, "c1", "k1", time.Time{})
	require.Nil(t, failure)
	require.Equal(t, "k1", receive(t, asked))
	answer := make(chan *channels.SendError, 1)
	began := time.Now()
	go func() {
		_, failure := w.send(in.ID, "c1", "k2", time.Time{})
		answer <- failure
	}()
	require.Eventually(t, func() bool {
		require.NoError(t, w.bus.Withdraw("fake", in.ID, "k2"))
		return len(answer) == 1
	}, 10*time.Second, 10*time.Millisecond)
	require.Less(t, time.Since(began), every-100*time.Millisecond)
	failure = <-answer
	require.True(t, failure.Certain)
	require.Equal(t, channels.ErrTransient, failure.Kind)
	require.Empty(t, asked)
	// Asked for again, it goes.
	_, failure = w.send(in.ID, "c1", "k2", time.Time{})
	require.Nil(t, failure)
	// What is begun is not taken back.
	require.NoError(t, w.bus.Withdraw("fake", in.ID, "k2"))
	reply, err := w.bus.Outcome(t.Context(), "fake", in.ID, "k2")
	require.NoError(t, err)
	require.NotNil(t, reply.Receipt)
}

// A stopping session lets nobody stand at its gate.
func TestNobodyWaitsAtAStoppingGate(t *testing.T) {
	t.Parallel()
	w, in := paced(t, channels.Capabilities{ChatPerSecond: 0.51}, nil) // as rare as somebody may stand there for
	_, failure := w.send(in.ID, "c1", "k1", time.Time{})
	require.Nil(t, failure)
	answer, err := w.bus.Conn().SubscribeSync(nats.NewInbox())
	require.NoError(t, err)
	require.NoError(t, w.bus.Conn().PublishRequest(channels.Subject("fake", in.ID.String(), channels.OpSend), answer.Subject,
		[]byte(`{"idempotencyKey":"k2","chat":{"id":"c1"}}`)))
	_, failure = w.send(in.ID, "c2", "k3", time.Time{}) // by then the other one stands there: requests are taken in order
	require.Nil(t, failure)
	require.NoError(t, w.bus.RequestRestart(t.Context(), in.ID))
	msg, err := answer.NextMsg(30 * time.Second)
	require.NoError(t, err)
	var reply channels.Reply
	require.NoError(t, json.Unmarshal(msg.Data, &reply))
	require.NotNil(t, reply.Error, "%s", msg.Data)
	failure = reply.Error.AsSendError()
	require.Equal(t, channels.ErrNotConnected, failure.Kind)
	require.True(t, failure.Certain)
}

// The indicator ends when the bubble comes, and is not shown after it.
func TestTheIndicatorEndsWithTheBubble(t *testing.T) {
	t.Parallel()
	typing, ended := make(chan struct{}, 4), make(chan struct{}, 4)
	sending, free := make(chan struct{}, 1), newLatch()
	w, in := paced(t, channels.Capabilities{Typing: true}, func(context.Context, message.Outbound) (message.Receipt, error) {
		sending <- struct{}{}
		<-free.c
		return message.Receipt{ExternalID: "x"}, nil
	})
	w.fake.typeFunc = func(ctx context.Context) {
		typing <- struct{}{}
		<-ctx.Done() // a platform that is slow to take it
		ended <- struct{}{}
	}
	show := func() {
		_, _ = w.bus.Send(t.Context(), "fake", in.ID, channels.OpTyping,
			message.Outbound{Kind: message.KindTyping, Chat: message.Chat{ID: "c1"}}, time.Now().Add(20*time.Second))
	}
	var wg sync.WaitGroup
	wg.Go(show)
	receive(t, typing)
	began := time.Now()
	wg.Go(func() { _, _ = w.send(in.ID, "c1", "k1", time.Time{}) })
	receive(t, ended)
	receive(t, sending)
	require.Less(t, time.Since(began), 5*time.Second, "the indicator does not hold the bubble up")

	// One that waits behind this bubble and before the next is not shown.
	publish(t, w, in, channels.OpTyping, `{"chat":{"id":"c1"}}`)
	publish(t, w, in, channels.OpSend, `{"idempotencyKey":"k2","chat":{"id":"c1"}}`)
	_, err := w.bus.Outcome(t.Context(), "fake", in.ID, "nothing")
	require.NoError(t, err, "both have been taken by now: requests are taken in order")
	free.release()
	receive(t, sending)
	wg.Wait()
	require.Empty(t, typing)
}

func publish(t *testing.T, w *world, in *omni.Instance, op channels.Operation, body string) {
	t.Helper()
	require.NoError(t, w.bus.Conn().Publish(channels.Subject("fake", in.ID.String(), op), []byte(body)))
}
