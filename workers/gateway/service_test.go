package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
)

// served is a world with one served instance.
func served(t *testing.T, send func(ctx context.Context, out message.Outbound) (message.Receipt, error)) (*world, *omni.Instance) {
	t.Helper()
	w := newWorld(t)
	w.fake.sendFunc = send
	w.gateway("a")
	in := w.instance(`{}`)
	w.awaitServed(in.ID)
	return w, in
}

func TestARequestIsNotBegunAfterItsDeadline(t *testing.T) {
	t.Parallel()
	began, free := make(chan string, 4), newLatch()
	w, in := served(t, func(_ context.Context, out message.Outbound) (message.Receipt, error) {
		began <- out.Key
		if out.Key == "first" {
			<-free.c
		}
		return message.Receipt{ExternalID: "x"}, nil
	})
	_, failure := w.send(in.ID, "c1", "late", time.Now().Add(-time.Second))
	require.Equal(t, channels.ErrTransient, failure.Kind, failure.Reason)
	require.True(t, failure.Certain)

	// Behind a slow one of the same chat until its time is over.
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = w.send(in.ID, "c1", "first", time.Time{}) })
	require.Equal(t, "first", receive(t, began))
	deadline := time.Now().Add(300 * time.Millisecond)
	wg.Go(func() { _, failure = w.send(in.ID, "c1", "second", deadline) })
	<-time.After(time.Until(deadline))
	free.release()
	wg.Wait()
	require.Equal(t, channels.ErrTransient, failure.Kind)
	require.True(t, failure.Certain)
	require.Empty(t, began)
}

func TestAKeyIsSentOnce(t *testing.T) {
	t.Parallel()
	var sends atomic.Int32
	entered, free := make(chan struct{}, 16), newLatch()
	w, in := served(t, func(context.Context, message.Outbound) (message.Receipt, error) {
		sends.Add(1)
		entered <- struct{}{}
		<-free.c
		return message.Receipt{ExternalID: "p1"}, nil
	})
	var wg sync.WaitGroup
	receipts := make([]message.Receipt, 8)
	for i := range receipts {
		wg.Go(func() { receipts[i], _ = w.send(in.ID, "c1", "same", time.Time{}) })
	}
	receive(t, entered)
	outcome := make(chan *channels.Reply, 1)
	wg.Go(func() {
		reply, _ := w.bus.Outcome(t.Context(), "fake", in.ID, "same")
		outcome <- reply
	})
	free.release()
	wg.Wait()
	for _, r := range receipts {
		require.Equal(t, "p1", r.ExternalID)
	}
	require.Equal(t, "p1", receive(t, outcome).Receipt.ExternalID, "who asks meanwhile is told when it is known")
	receipt, failure := w.send(in.ID, "c1", "same", time.Time{})
	require.Nil(t, failure)
	require.Equal(t, "p1", receipt.ExternalID)
	require.EqualValues(t, 1, sends.Load())
}

func TestAFailedKeyMayBeTriedAgainAndIsRemembered(t *testing.T) {
	t.Parallel()
	var sends atomic.Int32
	w, in := served(t, func(context.Context, message.Outbound) (message.Receipt, error) {
		if sends.Add(1) == 1 {
			return message.Receipt{}, &channels.SendError{Kind: channels.ErrRateLimited, Certain: true, Scope: channels.ScopeChat, RetryAfter: 100 * time.Millisecond, Reason: "slow down"}
		}
		return message.Receipt{ExternalID: "p2"}, nil
	})
	_, failure := w.send(in.ID, "c1", "k", time.Time{})
	require.Equal(t, &channels.SendError{Kind: channels.ErrRateLimited, Certain: true, Scope: channels.ScopeChat, RetryAfter: 100 * time.Millisecond, Reason: "slow down"}, failure)
	reply, err := w.bus.Outcome(t.Context(), "fake", in.ID, "k")
	require.NoError(t, err)
	require.Equal(t, channels.ErrRateLimited, reply.Error.Kind)
	var receipt message.Receipt
	require.Eventually(t, func() bool {
		receipt, failure = w.send(in.ID, "c1", "k", time.Time{})
		return failure == nil
	}, 10*time.Second, 10*time.Millisecond)
	require.Equal(t, "p2", receipt.ExternalID)
	require.EqualValues(t, 2, sends.Load())
	reply, err = w.bus.Outcome(t.Context(), "fake", in.ID, "never seen")
	require.NoError(t, err)
	require.Nil(t, reply)
}

func TestTheMemorySurvivesANewSession(t *testing.T) {
	t.Parallel()
	w, in := served(t, nil)
	_, failure := w.send(in.ID, "c1", "k", time.Time{})
	require.Nil(t, failure)
	receive(t, w.fake.started)
	require.NoError(t, w.bus.RequestRestart(t.Context(), in.ID))
	receive(t, w.fake.started)
	w.awaitServed(in.ID)
	reply, err := w.bus.Outcome(t.Context(), "fake", in.ID, "k")
	require.NoError(t, err)
	require.Equal(t, "p-k", reply.Receipt.ExternalID)
}

func TestChatsKeepTheirOrderAndDoNotHoldUpEachOther(t *testing.T) {
	t.Parallel()
	free := newLatch()
	var mu sync.Mutex
	order := map[string][]string{}
	entered := make(chan string, 64)
	w, in := served(t, func(_ context.Context, out message.Outbound) (message.Receipt, error) {
		entered <- out.Key
		if out.Chat.ID == "slow" {
			<-free.c
		}
		mu.Lock()
		defer mu.Unlock()
		order[out.Chat.ID] = append(order[out.Chat.ID], out.Key)
		return message.Receipt{ExternalID: out.Key}, nil
	})
	subject := channels.Subject("fake", in.ID.String(), channels.OpSend)
	conn := w.bus.Conn()
	inbox := conn.NewInbox()
	answers, err := conn.SubscribeSync(inbox)
	require.NoError(t, err)
	var want []string
	for i := range 20 {
		key := fmt.Sprint("s", i)
		want = append(want, key)
		require.NoError(t, conn.PublishMsg(&nats.Msg{Subject: subject, Reply: inbox, Data: fmt.Appendf(nil, `{"idempotencyKey":%q,"chat":{"id":"slow"}}`, key)}))
	}
	require.Equal(t, "s0", receive(t, entered))
	_, failure := w.send(in.ID, "quick", "q", time.Time{})
	require.Nil(t, failure)
	free.release()
	for range want {
		_, err := answers.NextMsg(10 * time.Second)
		require.NoError(t, err)
	}
	mu.Lock()
	defer mu.Unlock()
	require.Equal(t, want, order["slow"])
}

func TestAPanicIsAnUnknownOutcome(t *testing.T) {
	t.Parallel()
	w, in := served(t, func(_ context.Context, out message.Outbound) (message.Receipt, error) {
		if out.Key == "bad" {
			panic("boom")
		}
		return message.Receipt{ExternalID: "x"}, nil
	})
	_, failure := w.send(in.ID, "c1", "bad", time.Time{})
	require.Equal(t, channels.ErrUnknown, failure.Kind)
	require.False(t, failure.Certain)
	_, failure = w.send(in.ID, "c1", "good", time.Time{})
	require.Nil(t, failure)
}

func TestWordsOfUntypedErrorsStayInside(t *testing.T) {
	t.Parallel()
	w, in := served(t, func(context.Context, message.Outbound) (message.Receipt, error) {
		return message.Receipt{}, errors.New("https://api/bot123:secret failed")
	})
	_, failure := w.send(in.ID, "c1", "k", time.Time{})
	require.Equal(t, channels.ErrUnknown, failure.Kind)
	require.NotContains(t, failure.Reason, "secret")
}

func TestOperationsOfTheChannelAndOthers(t *testing.T) {
	t.Parallel()
	w, in := served(t, nil)
	_, err := w.bus.Send(t.Context(), "fake", in.ID, channels.OpReact, message.Outbound{Key: "r"}, time.Time{})
	require.NoError(t, err)
	var failure *channels.SendError
	_, err = w.bus.Send(t.Context(), "fake", in.ID, channels.OpEdit, message.Outbound{Key: "e"}, time.Time{})
	require.ErrorAs(t, err, &failure)
	require.Equal(t, channels.ErrUnsupported, failure.Kind)
	require.True(t, failure.Certain)
}

func TestWhatIsUnderWayIsFinishedWhenASessionStops(t *testing.T) {
	t.Parallel()
	entered, free := make(chan struct{}, 1), newLatch()
	w, in := served(t, func(context.Context, message.Outbound) (message.Receipt, error) {
		entered <- struct{}{}
		<-free.c
		return message.Receipt{ExternalID: "p1"}, nil
	})
	answer := make(chan message.Receipt, 1)
	go func() {
		r, _ := w.send(in.ID, "c1", "k", time.Time{})
		answer <- r
	}()
	receive(t, entered)
	require.NoError(t, w.bus.RequestRestart(t.Context(), in.ID))
	require.Eventually(t, func() bool {
		_, err := w.bus.Outcome(t.Context(), "fake", in.ID, "other")
		return err != nil
	}, 10*time.Second, 5*time.Millisecond, "no new requests are taken")
	require.Empty(t, w.fake.stopped)
	free.release()
	require.Equal(t, "p1", receive(t, answer).ExternalID)
	receive(t, w.fake.stopped)
}
