package testkit

import (
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"testing"
)

// Ports below those that systems give to outgoing connections, and those that
// hubs choose: one of them would take a port between our finding it free and
// the hub's listening.
const firstPort, lastPort = 10000, 18000

var (
	portsMu   sync.Mutex
	portsUsed = map[int]bool{} // by this process
)

// FreePort returns a TCP port on loopback that nobody listens on, another one
// each time.
func FreePort(t testing.TB) int {
	t.Helper()
	portsMu.Lock()
	defer portsMu.Unlock()
	for range 1000 {
		port := firstPort + rand.IntN(lastPort-firstPort) //nolint:gosec // any will do
		if portsUsed[port] {
			continue
		}
		listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		_ = listener.Close()
		portsUsed[port] = true
		return port
	}
	t.Fatal("finding a free port: none of a thousand is")
	return 0
}
