package testkit

import (
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// NATSServer runs a JetStream server in this process, on a folder of the
// test's own; it listens on a free loopback port (see ClientURL) too.
func NATSServer(t testing.TB) *server.Server {
	t.Helper()
	return natsServer(t, t.TempDir(), server.RANDOM_PORT)
}

// NATS returns a connection to a JetStream server of the test's own.
func NATS(t testing.TB) *nats.Conn {
	t.Helper()
	return NATSConn(t, natsServer(t, t.TempDir(), server.RANDOM_PORT))
}

// NATSConn connects to a server in this process.
func NATSConn(t testing.TB, srv *server.Server, options ...nats.Option) *nats.Conn {
	t.Helper()
	conn, err := nats.Connect("", append([]nats.Option{nats.InProcessServer(srv)}, options...)...)
	if err != nil {
		t.Fatalf("connecting to the in-process NATS server: %v", err)
	}
	t.Cleanup(conn.Close)
	return conn
}

func natsServer(t testing.TB, dir string, port int) *server.Server {
	t.Helper()
	srv, err := server.NewServer(&server.Options{
		ServerName: "test", Host: "127.0.0.1", Port: port, JetStream: true, StoreDir: dir,
		NoLog: true, NoSigs: true, MaxPayload: 8 << 20,
	})
	if err != nil {
		t.Fatalf("making the in-process NATS server: %v", err)
	}
	srv.Start()
	t.Cleanup(func() {
		srv.Shutdown()
		srv.WaitForShutdown()
	})
	if !srv.ReadyForConnections(20 * time.Second) {
		t.Fatal("the in-process NATS server is not ready after 20 s")
	}
	return srv
}
