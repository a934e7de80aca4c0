package freeport

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// Below the ports that systems give to outgoing connections and to whoever
// listens on port 0: one of those would take a port between our finding it
// free and the part's listening, or we one that somebody else, or the hub
// itself, is about to listen on.
const (
	first = 18000
	last  = 31999
	tries = 1000
)

// Choose returns n different ports of loopback that nobody listens on now.
func Choose(ctx context.Context, n int) ([]int, error) {
	var config net.ListenConfig
	ports := make([]int, 0, n)
	for try := 0; len(ports) < n; try++ {
		port := first + rand.IntN(last-first+1) //nolint:gosec // any will do
		listener, err := config.Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			if try >= tries {
				return nil, fmt.Errorf("finding a free port: %w", err)
			}
			continue
		}
		// Open until all are found: so none is found twice.
		defer func() { _ = listener.Close() }()
		ports = append(ports, port)
	}
	return ports, nil
}
