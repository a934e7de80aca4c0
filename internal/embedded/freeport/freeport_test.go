package freeport

import (
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestChoose(t *testing.T) {
	t.Parallel()
	ports, err := Choose(t.Context(), 50)
	require.NoError(t, err)
	require.Len(t, ports, 50)
	slices.Sort(ports)
	require.Len(t, slices.Compact(slices.Clone(ports)), 50, "each another one")
	for _, port := range ports {
		listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		require.NoError(t, err)
		require.NoError(t, listener.Close())
	}
}

// No outgoing connection and nobody who listens on port 0 is given one of them.
func TestChosenPortsAreNobodyElses(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		t.Skip("not Linux")
	}
	fields := strings.Fields(string(b))
	require.Len(t, fields, 2)
	if fields[0] != "32768" {
		t.Skipf("a machine with a range of its own: %s", b)
	}
	require.Less(t, last, 32768)
}
