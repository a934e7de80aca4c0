package temporald

import (
	"context"
	"fmt"
	"net"
	"strconv"

	"go.temporal.io/server/common/membership/static"
	"go.temporal.io/server/common/primitives"

	"github.com/omnihub/omni/internal/embedded/freeport"
)

const loopback = "127.0.0.1"

// ports are the gRPC ports of the services.
type ports map[primitives.ServiceName]int

func (p ports) address(service primitives.ServiceName) string {
	return net.JoinHostPort(loopback, strconv.Itoa(p[service]))
}

// hosts is the whole membership, known beforehand: no gossip, and no trace of
// a killed process in the way of the next.
func (p ports) hosts() map[primitives.ServiceName]static.Hosts {
	out := map[primitives.ServiceName]static.Hosts{}
	for service := range p {
		out[service] = static.SingleLocalHost(p.address(service))
	}
	return out
}

// choosePorts takes free ports for the services that are not asked for by name.
func choosePorts(ctx context.Context, frontend int) (ports, error) {
	free, err := freeport.Choose(ctx, 4)
	if err == nil && frontend != 0 {
		free[0], err = takePort(ctx, frontend)
	}
	if err != nil {
		return nil, fmt.Errorf("taking a port for Temporal: %w", err)
	}
	return ports{
		primitives.FrontendService: free[0], primitives.HistoryService: free[1],
		primitives.MatchingService: free[2], primitives.WorkerService: free[3],
	}, nil
}

// takePort returns the port if nobody listens on it, a free one for 0.
func takePort(ctx context.Context, port int) (int, error) {
	if port == 0 {
		found, err := freeport.Choose(ctx, 1)
		if err != nil {
			return 0, err
		}
		return found[0], nil
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", net.JoinHostPort(loopback, strconv.Itoa(port)))
	if err != nil {
		return 0, err
	}
	return port, listener.Close()
}
