package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/internal/bus"
	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/workers/gateway"
)

func TestAnInstanceIsServedWithinASecondOfBeingMade(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.gateway("a")
	in := w.instance(`{"n":1}`)
	began := time.Now()
	w.awaitStatus(in.ID, channels.StatusActive)
	require.Less(t, time.Since(began), time.Second)
	s := receive(t, w.fake.started)
	require.JSONEq(t, `{"n":1}`, string(s.cfg.Values))
	receipt, failure := w.send(in.ID, "c1", "k1", time.Time{})
	require.Nil(t, failure)
	require.Equal(t, "p-k1", receipt.ExternalID)
}

func TestTheSessionFollowsTheInstance(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.gateway("a")
	in := w.instance(`{"n":1}`)
	first := receive(t, w.fake.started)

	patch := func(change func(*omni.Instance)) {
		_, err := w.store.PatchInstance(t.Context(), omni.DefaultTenant, in.ID, func(in *omni.Instance) error { change(in); return nil })
		require.NoError(t, err)
		require.NoError(t, w.bus.Announce(t.Context(), in.ID))
	}
	patch(func(in *omni.Instance) { in.ChannelConfig = json.RawMessage(`{"n":2}`) })
	require.Same(t, first, receive(t, w.fake.stopped))
	second := receive(t, w.fake.started)
	require.JSONEq(t, `{"n":2}`, string(second.cfg.Values))
	w.awaitStatus(in.ID, channels.StatusActive)

	// What is not the channel's leaves the session alone; a restart by call does not.
	patch(func(in *omni.Instance) { in.Name = "renamed" })
	require.NoError(t, w.bus.RequestRestart(t.Context(), in.ID))
	require.Same(t, second, receive(t, w.fake.stopped))
	third := receive(t, w.fake.started)

	patch(func(in *omni.Instance) { in.Disabled = true })
	require.Same(t, third, receive(t, w.fake.stopped))
	w.awaitStatus(in.ID, channels.StatusInactive)
	_, failure := w.send(in.ID, "c1", "k", time.Time{})
	require.Equal(t, channels.ErrNotConnected, failure.Kind)

	patch(func(in *omni.Instance) { in.Disabled = false })
	fourth := receive(t, w.fake.started)
	require.NoError(t, w.store.DeleteInstance(t.Context(), omni.DefaultTenant, in.ID))
	require.NoError(t, w.bus.Announce(t.Context(), in.ID))
	require.Same(t, fourth, receive(t, w.fake.stopped))
	require.Empty(t, w.fake.started)
}

func TestASessionThatFailsToStartIsTriedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tries := 0
	w.fake.startFunc = func(context.Context, channels.Config, channels.Sink) error {
		switch tries++; tries {
		case 1:
			return &channels.SendError{Kind: channels.ErrBadCredentials, Certain: true, Reason: "the token is wrong"}
		case 2:
			panic("boom")
		case 3:
			return errors.New("https://api/bot123:hunter22 failed")
		case 4:
			return errors.New("again")
		default:
			return nil
		}
	}
	w.gateway("a")
	in := w.instance(`{"token":"hunter22"}`)
	receive(t, w.fake.started)
	w.awaitStatus(in.ID, channels.StatusActive)
	for range 4 {
		receive(t, w.fake.stopped) // also where Start failed
	}
	var leaks int
	require.NoError(t, w.store.Pool().QueryRow(t.Context(), "SELECT count(*) FROM events WHERE data::text LIKE '%hunter22%'").Scan(&leaks))
	require.Zero(t, leaks)
	events := w.events(in.ID)
	require.Equal(t, "channel.connected", events[len(events)-1])
	require.Contains(t, events, "channel.error")
}

func TestTheSessionsOwnWordOnItsStateCounts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fake.startFunc = func(_ context.Context, _ channels.Config, in channels.Sink) error {
		in.State(channels.State{Status: channels.StatusNeedsLogin, Reason: "scan the code"})
		return nil
	}
	w.gateway("a")
	in := w.instance(`{}`)
	s := receive(t, w.fake.started)
	require.Equal(t, "scan the code", w.awaitStatus(in.ID, channels.StatusNeedsLogin).StatusReason)
	s.sink.State(channels.State{Status: channels.StatusActive})
	require.NotNil(t, w.awaitStatus(in.ID, channels.StatusActive).LastConnectedAt)
}

func TestASlowStartDoesNotHoldUpOthersAndEndsWithTheGateway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	entered := make(chan struct{}, 1)
	w.fake.startFunc = func(ctx context.Context, cfg channels.Config, _ channels.Sink) error {
		if !strings.Contains(string(cfg.Values), "slow") {
			return nil
		}
		entered <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	}
	g := w.gateway("a")
	w.instance(`{"slow": true}`)
	receive(t, entered)
	other := w.instance(`{}`)
	w.awaitStatus(other.ID, channels.StatusActive)
	require.NoError(t, g.Stop(t.Context()))
}

func TestGatewaysShareInstancesAndHandThemOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.gateway("a")
	in := w.instance(`{}`)
	w.awaitStatus(in.ID, channels.StatusActive)
	receive(t, w.fake.started)
	w.gateway("b")
	require.NoError(t, first.Stop(t.Context()))
	receive(t, w.fake.stopped)
	receive(t, w.fake.started) // well before the lease would have ended
	w.awaitStatus(in.ID, channels.StatusActive)
	require.Empty(t, w.fake.started)
}

func TestARestartedGatewayTakesItsLeasesBackAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	in := w.instance(`{}`)
	kv, err := w.bus.KV(t.Context(), "leases")
	require.NoError(t, err)
	// Killed: its lease stands, nobody serves.
	_, err = kv.Create(t.Context(), in.ID.String(), []byte(`{"owner":"/data/a","nonce":"old"}`))
	require.NoError(t, err)
	began := time.Now()
	w.gateway("/data/a")
	receive(t, w.fake.started)
	require.Less(t, time.Since(began), 2*time.Second)
}

func TestADeadGatewaysInstancesAreTakenOverWhenTheirLeaseEnds(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waits for a lease to end")
	}
	w := newWorld(t)
	in := w.instance(`{}`)
	kv, err := w.bus.KV(t.Context(), "leases")
	require.NoError(t, err)
	_, err = kv.Create(t.Context(), in.ID.String(), []byte(`{"owner":"dead","nonce":"x"}`))
	require.NoError(t, err)
	began := time.Now()
	w.gateway("b", func(d *gateway.Deps) { d.Timing = gateway.DefaultTiming() })
	receive(t, w.fake.started)
	t.Logf("taken over %s after the last renewal", time.Since(began).Round(time.Millisecond))
	require.Greater(t, time.Since(began), gateway.DefaultTiming().StopAfter, "a gateway that may still serve is not overtaken")
	require.Less(t, time.Since(began), takenOverWithin)
}

func TestALostLeaseEndsTheSession(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.gateway("a", func(d *gateway.Deps) { d.Timing.Renew = 50 * time.Millisecond })
	in := w.instance(`{}`)
	receive(t, w.fake.started)
	w.awaitStatus(in.ID, channels.StatusActive)
	kv, err := w.bus.KV(t.Context(), "leases")
	require.NoError(t, err)
	_, err = kv.Put(t.Context(), in.ID.String(), []byte(`{"owner":"b","nonce":"y"}`))
	require.NoError(t, err)
	s := receive(t, w.fake.stopped)
	require.Error(t, s.deps.KV.Put(t.Context(), "offset", []byte("1")), "its successor's state is not to be overwritten")
	w.awaitStatus(in.ID, channels.StatusActive) // the successor's to say
	require.Eventually(t, func() bool {
		_, failure := w.send(in.ID, "c1", "k", time.Time{})
		return failure != nil && failure.Kind == channels.ErrNotConnected
	}, 10*time.Second, 20*time.Millisecond)
}

func TestServingEndsInTimeWhenRenewalIsImpossible(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.gateway("a", func(d *gateway.Deps) { d.Timing.Renew, d.Timing.StopAfter = 100*time.Millisecond, time.Second })
	in := w.instance(`{}`)
	receive(t, w.fake.started)
	w.awaitServed(in.ID)
	w.srv.Shutdown()
	began := time.Now()
	receive(t, w.fake.stopped)
	require.Less(t, time.Since(began), 3*time.Second)
}

func TestServingGoesOnAfterARestartOfNATS(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := t.TempDir()
	srv := startNATS(t, dir, server.RANDOM_PORT)
	conn, err := nats.Connect(srv.ClientURL(), nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	w.bus, err = bus.Open(t.Context(), conn, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	w.gateway("a", func(d *gateway.Deps) { d.Timing.Renew, d.Timing.StopAfter = 100*time.Millisecond, time.Second })
	in := w.instance(`{}`)
	receive(t, w.fake.started)
	address, err := net.ResolveTCPAddr("tcp", conn.ConnectedAddr())
	require.NoError(t, err)
	srv.Shutdown()
	srv.WaitForShutdown()
	receive(t, w.fake.stopped)
	startNATS(t, dir, address.Port)
	receive(t, w.fake.started)
	w.awaitServed(in.ID)
	_, failure := w.send(in.ID, "c1", "k", time.Time{})
	require.Nil(t, failure)
	w.awaitStatus(in.ID, channels.StatusActive)
}

func startNATS(t *testing.T, dir string, port int) *server.Server {
	t.Helper()
	srv, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: port, JetStream: true, StoreDir: dir, NoLog: true, NoSigs: true})
	require.NoError(t, err)
	srv.Start()
	require.True(t, srv.ReadyForConnections(20*time.Second))
	t.Cleanup(func() {
		srv.Shutdown()
		srv.WaitForShutdown()
	})
	return srv
}

func TestForeignChannelsAreLeftToTheirOwnPrograms(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, err := w.store.CreateInstance(t.Context(), omni.Instance{Name: "x", Channel: "foreign", Settings: omni.DefaultSettings()})
	require.NoError(t, err)
	w.gateway("a")
	ours := w.instance(`{}`)
	w.awaitStatus(ours.ID, channels.StatusActive)
	kv, err := w.bus.KV(t.Context(), "leases")
	require.NoError(t, err)
	keys, err := kv.Keys(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{ours.ID.String()}, keys)
}

// events are the types of the instance's events, in log order.
func (w *world) events(id uuid.UUID) []string {
	w.t.Helper()
	rows, err := w.store.Pool().Query(w.t.Context(), "SELECT type FROM events WHERE instance_id = $1 ORDER BY xid, seq", id)
	require.NoError(w.t, err)
	defer rows.Close()
	var types []string
	for rows.Next() {
		var typ string
		require.NoError(w.t, rows.Scan(&typ))
		types = append(types, typ)
	}
	return types
}
