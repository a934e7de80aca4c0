package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/internal/bus"
	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/telemetry"
)

// Store is what the gateway needs of the database; *store.Store is one.
type Store interface {
	EdgeStore
	// ConnectableInstances reads the instances to hold a session for. Those
	// it returns beside an error are good.
	ConnectableInstances(ctx context.Context) ([]omni.Instance, error)
	SetInstanceState(ctx context.Context, id uuid.UUID, status channels.Status, reason string) error
}

// Deps is what a gateway is handed.
type Deps struct {
	Store Store
	Bus   *bus.Bus
	// Owner names this gateway in its leases. One that is the same after a
	// restart (the embedded hub's data directory) takes its leases back at
	// once; no two running processes may share it.
	Owner     string
	HTTP      *http.Client // guarded; given to channels
	PublicURL string
	Log       *slog.Logger
	Metrics   *telemetry.Metrics // nil: none
	Meter     metric.Meter       // of the gateway's own instruments; nil: the global one
	Tracer    trace.Tracer       // nil: the global one

	// Lookup finds a channel by type; nil: channels.Lookup.
	Lookup func(channelType string) (channels.Channel, bool)
	// Timing of leases and retries; zero: DefaultTiming. Tests shorten it.
	Timing Timing
}

// Timing is how long things take.
type Timing struct {
	Renew      time.Duration // between renewals of a lease
	StopAfter  time.Duration // without a renewal, counted from the start of the last one that worked
	LostGrace  time.Duration // for requests under way when a lease ran out
	Retry      time.Duration // between attempts to take a lease that another renews: longer than Renew
	RetrySoon  time.Duration // between attempts to take one that was not renewed since the last attempt
	Resync     time.Duration // between looks at the list of instances that nobody announced
	BackoffMin time.Duration // after a session failed to start
	BackoffMax time.Duration
	StartLimit time.Duration // of one start
	StopGrace  time.Duration // for requests under way when a session stops
}

// DefaultTiming fits bus.LeaseTTL: a process that stalls for four seconds keeps
// its leases, one that lost them has fallen silent a second before anybody else
// may begin, and what a killed one held is taken within ten.
func DefaultTiming() Timing {
	return Timing{Renew: 1500 * time.Millisecond, StopAfter: 6 * time.Second, LostGrace: time.Second,
		Retry: 2500 * time.Millisecond, RetrySoon: 250 * time.Millisecond, Resync: 5 * time.Second,
		BackoffMin: time.Second, BackoffMax: time.Minute, StartLimit: time.Minute, StopGrace: 4 * time.Second}
}

// Gateway runs the sessions of the instances whose leases it gets.
type Gateway struct {
	deps    Deps
	edge    *edge
	metrics *metrics
	leases  jetstream.KeyValue

	poke   chan struct{} // somebody announced a change
	cancel context.CancelFunc
	done   chan struct{}
	stops  []func()

	mu     sync.Mutex
	hosts  map[uuid.UUID]*host
	synced error // outcome of the last look at the list
}

// New makes a gateway that Start sets going.
func New(deps Deps) (*Gateway, error) {
	if deps.Owner == "" {
		return nil, errors.New("making a gateway: an owner id is required")
	}
	if deps.Lookup == nil {
		deps.Lookup = channels.Lookup
	}
	if deps.Timing == (Timing{}) {
		deps.Timing = DefaultTiming()
	}
	m, err := newMetrics(deps.Metrics, deps.Meter)
	if err != nil {
		return nil, fmt.Errorf("making a gateway: %w", err)
	}
	return &Gateway{
		deps: deps, metrics: m, hosts: map[uuid.UUID]*host{}, poke: make(chan struct{}, 1), done: make(chan struct{}),
		synced: errors.New("the instances have not been read yet"),
		edge:   newEdge(deps.Store, deps.Bus, deps.HTTP, deps.PublicURL, deps.Log, m, deps.Tracer),
	}, nil
}

// Start subscribes to changes and begins to take leases; sessions connect in
// the background.
func (g *Gateway) Start(ctx context.Context) error {
	kv, err := g.deps.Bus.KV(ctx, bus.BucketLeases)
	if err != nil {
		return fmt.Errorf("starting the gateway: %w", err)
	}
	g.leases = kv
	stopChanged, err := g.deps.Bus.OnInstanceChanged(func(uuid.UUID) { g.wake() })
	if err != nil {
		return fmt.Errorf("starting the gateway: %w", err)
	}
	stopRestart, err := g.deps.Bus.OnRestartRequest(g.restart)
	if err != nil {
		stopChanged()
		return fmt.Errorf("starting the gateway: %w", err)
	}
	g.stops = []func(){stopChanged, stopRestart}
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	g.cancel = cancel
	go g.run(run)
	return nil
}

// Stop closes every session, gives the leases back and waits for it.
func (g *Gateway) Stop(ctx context.Context) error {
	if g.cancel == nil {
		return nil
	}
	for _, stop := range g.stops {
		stop()
	}
	g.cancel()
	select {
	case <-g.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stopping the gateway: %w", ctx.Err())
	}
}

// Health reports why instances might not be served.
func (g *Gateway) Health(context.Context) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.synced
}

func (g *Gateway) run(ctx context.Context) {
	defer close(g.done)
	tick := time.NewTicker(g.deps.Timing.Resync)
	defer tick.Stop()
	for ctx.Err() == nil {
		g.sync(ctx)
		select {
		case <-ctx.Done():
		case <-g.poke:
		case <-tick.C:
		}
	}
	for _, h := range g.stopHosts(func(uuid.UUID) bool { return true }, stopReason) {
		<-h.done
	}
}

// sync makes the hosts those of the instances that are to be connected.
func (g *Gateway) sync(ctx context.Context) {
	list, err := g.deps.Store.ConnectableInstances(ctx)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		g.deps.Log.ErrorContext(ctx, "cannot read all instances", "error", err)
	}
	g.mu.Lock()
	g.synced = nil
	if list == nil {
		g.synced = err
	}
	g.mu.Unlock()
	if err != nil && list == nil {
		return // nothing is known: what runs goes on
	}
	wanted := make(map[uuid.UUID]bool, len(list))
	for i := range list {
		in := &list[i]
		if _, ok := g.deps.Lookup(in.Channel); !ok {
			continue // a foreign program's, perhaps
		}
		wanted[in.ID] = true
		g.host(in)
	}
	if err == nil {
		g.stopHosts(func(id uuid.UUID) bool { return !wanted[id] }, "")
	}
}

// host makes the instance's host, or tells it of a newer reading. One that is
// ending is left alone: its end brings the next look.
func (g *Gateway) host(in *omni.Instance) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if h, ok := g.hosts[in.ID]; ok {
		h.update(in)
		return
	}
	h := newHost(g, in)
	g.hosts[in.ID] = h
	go func() {
		h.run()
		g.mu.Lock()
		delete(g.hosts, h.id)
		g.mu.Unlock()
		close(h.done)
		g.wake()
	}()
}

// stopHosts tells those that match to end, and returns them without waiting.
func (g *Gateway) stopHosts(match func(uuid.UUID) bool, reason string) []*host {
	g.mu.Lock()
	defer g.mu.Unlock()
	var stopping []*host
	for id, h := range g.hosts {
		if match(id) {
			h.stop(reason)
			stopping = append(stopping, h)
		}
	}
	return stopping
}

func (g *Gateway) capabilities(channelType string) channels.Capabilities {
	ch, ok := g.deps.Lookup(channelType)
	if !ok {
		return channels.Capabilities{}
	}
	return ch.Info().Capabilities
}

func (g *Gateway) restart(id uuid.UUID) {
	g.mu.Lock()
	h, ok := g.hosts[id]
	g.mu.Unlock()
	if ok {
		h.restart()
	}
}

// wake makes the next look at the instances come now.
func (g *Gateway) wake() {
	select {
	case g.poke <- struct{}{}:
	default:
	}
}

// stopReason is what people read of an instance whose gateway ended.
const stopReason = "the gateway stopped"
