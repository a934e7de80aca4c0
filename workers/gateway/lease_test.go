package gateway_test

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/bus"
	"github.com/omnihub/omni/workers/gateway"
)

// What operators read: a killed gateway's instances are served again within
// twelve seconds, a stall of four costs nothing.
const (
	takenOverWithin = 12 * time.Second
	stallAllowed    = 4 * time.Second
)

func TestTheTimesOfALeaseFitEachOther(t *testing.T) {
	t.Parallel()
	d := gateway.DefaultTiming()
	const jitter = 9.0 / 8 // of every wait
	looks := time.Duration(jitter * float64(d.RetrySoon))
	const notice = 500 * time.Millisecond // the server's own checks of what is too old
	require.LessOrEqual(t, bus.LeaseTTL+notice+looks, takenOverWithin-2*time.Second, "the rest is for connecting")
	require.Less(t, time.Duration(2*jitter*float64(d.Retry)), bus.LeaseTTL, "who waits has seen twice that nothing is renewed")
	require.Greater(t, d.Retry, d.Renew, "a lease that is renewed has changed at the next look")
	require.GreaterOrEqual(t, d.StopAfter-d.Renew, stallAllowed+400*time.Millisecond, "a stall ends before the lease does")
	require.LessOrEqual(t, d.StopAfter+d.LostGrace, bus.LeaseTTL-time.Second, "who lost it is silent before another begins")
}

// stall is a way to NATS that can be held up, as all of a process can.
type stall struct {
	listener net.Listener
	target   string
	gate     sync.RWMutex
	pipes    sync.WaitGroup
}

func newStall(t *testing.T, target string) *stall {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &stall{listener: listener, target: target}
	s.pipes.Go(s.accept)
	t.Cleanup(func() {
		_ = listener.Close()
		s.pipes.Wait()
	})
	return s
}

func (s *stall) accept() {
	for {
		near, err := s.listener.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", s.target)
		if err != nil {
			_ = near.Close()
			return
		}
		s.pipes.Go(func() { s.pipe(near, far) })
		s.pipes.Go(func() { s.pipe(far, near) })
	}
}

func (s *stall) pipe(from, to net.Conn) {
	defer func() { _, _ = from.Close(), to.Close() }()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		s.gate.RLock()
		_, werr := to.Write(buf[:n])
		s.gate.RUnlock()
		if err != nil || werr != nil {
			return
		}
	}
}

// busThrough is the bus as seen by a process whose connection goes that way.
func (w *world) busThrough(s *stall) *bus.Bus {
	w.t.Helper()
	conn, err := nats.Connect("nats://" + s.listener.Addr().String())
	require.NoError(w.t, err)
	w.t.Cleanup(conn.Close)
	b, err := bus.Open(w.t.Context(), conn, slog.New(slog.DiscardHandler))
	require.NoError(w.t, err)
	return b
}

// Four seconds without a sign of life, begun just before a renewal was due:
// nobody takes the instance, and its session goes on.
func TestAStalledGatewayKeepsItsInstances(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("stalls for 4 s")
	}
	w := newWorld(t)
	way := newStall(t, w.srv.Addr().String())
	unhurried := func(d *gateway.Deps) { d.Timing = gateway.DefaultTiming() }
	w.gateway("stalls", unhurried, func(d *gateway.Deps) { d.Bus = w.busThrough(way) })
	in := w.instance(`{}`)
	receive(t, w.fake.started)
	w.awaitServed(in.ID)
	w.gateway("waits", unhurried)

	renewed := w.leaseRevision(in.ID)
	require.Eventually(t, func() bool { return w.leaseRevision(in.ID) != renewed }, 20*time.Second, 5*time.Millisecond)
	// The next renewal is due in Renew: the stall begins right before.
	hold := time.After(gateway.DefaultTiming().Renew - 50*time.Millisecond)
	<-hold
	way.gate.Lock()
	<-time.After(stallAllowed)
	way.gate.Unlock()

	renewed = w.leaseRevision(in.ID)
	require.Eventually(t, func() bool { return w.leaseRevision(in.ID) != renewed }, 20*time.Second, 5*time.Millisecond, "renewed again")
	require.Empty(t, w.fake.stopped, "the session goes on")
	require.Empty(t, w.fake.started, "and is the only one")
}

// What is under way when a lease runs out ends before another may begin, not
// when a request's own deadline says.
func TestWhatIsUnderWayEndsWithTheLease(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cut, entered := newLatch(), newLatch()
	w.fake.sendFunc = func(ctx context.Context, _ message.Outbound) (message.Receipt, error) {
		entered.release()
		<-ctx.Done()
		cut.release()
		return message.Receipt{}, ctx.Err()
	}
	w.gateway("a", func(d *gateway.Deps) {
		d.Timing.Renew, d.Timing.StopAfter, d.Timing.LostGrace = 100*time.Millisecond, time.Second, 300*time.Millisecond
		d.Timing.StopGrace = 20 * time.Second
	})
	in := w.instance(`{}`)
	receive(t, w.fake.started)
	w.awaitServed(in.ID)
	go func() {
		_, _ = w.bus.Send(context.WithoutCancel(t.Context()), "fake", in.ID, "send",
			message.Outbound{Key: "k", Kind: message.KindMessage, Chat: message.Chat{ID: "c"}}, time.Now().Add(25*time.Second))
	}()
	receive(t, entered.c)
	w.srv.Shutdown()
	began := time.Now()
	receive(t, cut.c)
	require.Less(t, time.Since(began), 1300*time.Millisecond+time.Second, "the lease and its grace, and a busy machine")
}

// A gateway that stops goes on renewing until what is under way has ended.
func TestAStoppingGatewayKeepsItsLeaseUntilItIsSilent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	goOn, entered := newLatch(), newLatch()
	w.fake.sendFunc = func(context.Context, message.Outbound) (message.Receipt, error) {
		entered.release()
		<-goOn.c
		return message.Receipt{ExternalID: "x", At: time.Now()}, nil
	}
	g := w.gateway("a", func(d *gateway.Deps) {
		d.Timing.Renew, d.Timing.StopAfter, d.Timing.StopGrace = 50*time.Millisecond, time.Second, 20*time.Second
	})
	in := w.instance(`{}`)
	receive(t, w.fake.started)
	w.awaitServed(in.ID)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer goOn.release()
	wg.Go(func() {
		_, _ = w.bus.Send(context.WithoutCancel(t.Context()), "fake", in.ID, "send",
			message.Outbound{Key: "k", Kind: message.KindMessage, Chat: message.Chat{ID: "c"}}, time.Now().Add(25*time.Second))
	})
	receive(t, entered.c)
	wg.Go(func() { _ = g.Stop(context.WithoutCancel(t.Context())) })
	require.Eventually(t, func() bool { // taken out of the queue group: it is stopping
		_, failure := w.send(in.ID, "other", "k2", time.Now().Add(50*time.Millisecond))
		return failure != nil
	}, 20*time.Second, 10*time.Millisecond)
	for range 3 {
		revision := w.leaseRevision(in.ID)
		require.Eventually(t, func() bool { return w.leaseRevision(in.ID) > revision }, 20*time.Second, 5*time.Millisecond, "it is renewed")
	}
	goOn.release()
	wg.Wait()
	require.Eventually(t, func() bool { return w.leaseRevision(in.ID) == 0 }, 20*time.Second, 5*time.Millisecond, "it is given back")
}
