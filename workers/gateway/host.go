package gateway

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/internal/omni"
)

// host is one instance's place in this gateway: it waits for the lease, and
// while it has it, keeps a session running.
type host struct {
	g      *Gateway
	id     uuid.UUID
	log    *slog.Logger
	memory *memory
	gate   *gate
	states *stateWriter

	life context.Context
	end  context.CancelFunc
	done chan struct{} // closed by the gateway when run returned
	poke chan struct{} // something changed: look again at once

	mu      sync.Mutex
	want    *omni.Instance
	version int // grows when the session must be another one
	reason  string
	holding bool // the lease
}

func newHost(g *Gateway, in *omni.Instance) *host {
	log := g.deps.Log.With("instance_id", in.ID, "channel", in.Channel)
	h := &host{
		g: g, id: in.ID, log: log, want: in, memory: newMemory(memoryFor, memoryLimit),
		gate:   newGate(g.capabilities(in.Channel)),
		states: newStateWriter(in.ID, g.deps.Store, log), done: make(chan struct{}), poke: make(chan struct{}, 1),
	}
	// Ended by stop, never by a caller's context: it has to say why.
	h.life, h.end = context.WithCancel(context.Background())
	return h
}

// update takes over a newer reading of the instance. The session is replaced
// only where what it was made of changed.
func (h *host) update(in *omni.Instance) {
	h.mu.Lock()
	changed := in.Channel != h.want.Channel || !bytes.Equal(in.ChannelConfig, h.want.ChannelConfig)
	h.want = in
	if changed {
		h.version++
	}
	look := changed || !h.holding // whoever held the lease may have given it back
	h.mu.Unlock()
	if look {
		h.wake()
	}
}

func (h *host) restart() {
	h.mu.Lock()
	h.version++
	h.mu.Unlock()
	h.wake()
}

func (h *host) wake() {
	select {
	case h.poke <- struct{}{}:
	default:
	}
}

// stop ends the host without waiting (done says when).
func (h *host) stop(reason string) {
	h.mu.Lock()
	h.reason = reason
	h.mu.Unlock()
	h.end()
}

func (h *host) current() (in *omni.Instance, version int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.want, h.version
}

func (h *host) run() {
	ctx := h.life
	defer h.end()
	var seen uint64 // revision of the lease when another held it
	for ctx.Err() == nil {
		l, err := takeLease(ctx, h.g.leases, h.g.deps.Owner, h.id, h.g.deps.Timing)
		if err != nil {
			if !errors.Is(err, errHeld) && ctx.Err() == nil {
				h.log.WarnContext(ctx, "cannot take the lease", "error", err)
			}
			pause := h.g.deps.Timing.Retry
			if held, ok := errors.AsType[*heldError](err); ok {
				if held.revision == seen { // its holder is gone, or stalls
					pause = h.g.deps.Timing.RetrySoon
				}
				seen = held.revision
			}
			h.wait(ctx, pause)
			continue
		}
		h.hold(true)
		h.term(ctx, l)
		h.hold(false)
	}
}

func (h *host) hold(holding bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.holding = holding
}

// term runs sessions while the lease stands.
func (h *host) term(ctx context.Context, l *lease) {
	h.log.InfoContext(ctx, "lease taken", "token", l.token)
	term, cancel := context.WithCancelCause(ctx)
	kept, endKeeping := context.WithCancel(context.WithoutCancel(ctx))
	var keeping sync.WaitGroup
	keeping.Go(func() {
		if err := l.keep(kept); err != nil {
			h.log.WarnContext(ctx, "lease lost", "error", err)
			cancel(err)
		}
	})
	writing := h.states.start(term, l)
	h.sessions(term, l)
	// Renewed until here, so that nobody else begins while we still stop.
	h.mu.Lock()
	h.states.report(channels.State{Status: channels.StatusInactive, Reason: h.reason})
	h.mu.Unlock()
	writing.stop()
	endKeeping()
	keeping.Wait()
	cancel(nil)
	l.lose()
	if l.valid() {
		h.release(ctx, l)
	}
}

// release gives the lease back and tells the others.
func (h *host) release(ctx context.Context, l *lease) {
	bounded, done := context.WithTimeout(context.WithoutCancel(ctx), h.g.deps.Timing.StopGrace)
	defer done()
	if err := l.release(bounded); err != nil {
		h.log.WarnContext(ctx, "lease not released", "error", err)
		return
	}
	if err := h.g.deps.Bus.Announce(bounded, h.id); err != nil {
		h.log.WarnContext(ctx, "released lease not announced", "error", err)
	}
}

// sessions runs one session after another until ctx ends.
func (h *host) sessions(ctx context.Context, l *lease) {
	t := h.g.deps.Timing
	backoff := t.BackoffMin
	tried := -1 // the version that failed last
	for ctx.Err() == nil {
		in, version := h.current()
		if version != tried {
			backoff = t.BackoffMin
			h.states.report(channels.State{Status: channels.StatusConnecting})
		}
		s := &session{host: h, instance: in, version: version, lease: l}
		err := s.run(ctx)
		if err == nil || ctx.Err() != nil {
			tried = -1
			continue
		}
		tried = version
		h.log.WarnContext(ctx, "session did not start", "error", err, "next_try", backoff)
		h.wait(ctx, backoff/2+rand.N(backoff))
		backoff = min(backoff*2, t.BackoffMax)
	}
}

// wait pauses, with a little jitter, until something changes or ctx ends.
func (h *host) wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d + rand.N(d/8+1))
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-h.poke:
	case <-t.C:
	}
}
