package ingest_test

import (
	"fmt"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/bus"
	"github.com/omnihub/omni/internal/testkit"
)

// startNATS runs a server that can be stopped and started again on its data.
func startNATS(t *testing.T, dir string, port int) *server.Server {
	t.Helper()
	srv, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: port, JetStream: true, StoreDir: dir, SyncAlways: true, NoLog: true, NoSigs: true})
	require.NoError(t, err)
	srv.Start()
	require.True(t, srv.ReadyForConnections(20*time.Second))
	t.Cleanup(func() { stopNATS(srv) })
	return srv
}

func stopNATS(srv *server.Server) {
	srv.Shutdown()
	srv.WaitForShutdown()
}

func TestARestartOfNATSLosesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	srv := startNATS(t, dir, server.RANDOM_PORT)
	conn, err := nats.Connect(srv.ClientURL(), nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	w := &world{t: t, url: testkit.Postgres(t), conn: conn, instance: uuid.New()}
	w.store = w.open()
	w.bus, err = bus.Open(t.Context(), conn, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	engine := &fakeEngine{}
	r, s := w.recorder(w.store), w.starter(engine, fakeInstances{})
	w.awaitFloor(w.publishMany(50))

	address, err := net.ResolveTCPAddr("tcp", conn.ConnectedAddr())
	require.NoError(t, err)
	stopNATS(srv)
	require.Eventually(t, func() bool { return !conn.IsConnected() }, 10*time.Second, 10*time.Millisecond)
	startNATS(t, dir, address.Port)
	require.Eventually(t, conn.IsConnected, 20*time.Second, 10*time.Millisecond)

	var last uint64
	for i := range 50 {
		last = w.publish(w.event(message.KindMessage, fmt.Sprint("after", i), "c1", "x"))
	}
	w.awaitFloor(last)
	w.awaitAcked(bus.ConsumerStarter, last)
	require.Equal(t, 100, w.count("messages"))
	seen := map[string]bool{}
	for _, in := range engine.inputs() {
		seen[in.ExternalID] = true
	}
	require.Len(t, seen, 100)
	require.Eventually(t, func() bool { return r.Health(t.Context()) == nil && s.Health(t.Context()) == nil }, 10*time.Second, 10*time.Millisecond)
}
