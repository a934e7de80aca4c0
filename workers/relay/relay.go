package relay

import (
	"context"
	"log/slog"
	"time"

	"github.com/omnihub/omni/internal/bus"
	"github.com/omnihub/omni/internal/lifecycle"
	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/telemetry"
)

// name is what the one active relay leads under, and its cursor's.
const name = "relay"

const (
	batchSize = 512
	// While there is something to do the log is looked at this often. A write
	// of this process brings the look forward, but not closer to the last one
	// than the pause: a look costs as much as many events.
	busyPoll   = 25 * time.Millisecond
	idlePoll   = 250 * time.Millisecond
	pause      = 5 * time.Millisecond
	longPause  = 25 * time.Millisecond // after a batch of manyEvents
	manyEvents = 8
	busyFor    = time.Second // after the last event or nudge
	retryMin   = 100 * time.Millisecond
	retryMax   = 5 * time.Second
	// The place is kept when there is nothing to do, and this often in
	// between: what was published since is dropped when it comes again.
	keepEvery = 250 * time.Millisecond
	keepLimit = 3 * time.Second // of keeping it at the end of a term
)

// Store is what the relay needs of the database; *store.Store is one.
type Store interface {
	lifecycle.Elector
	// EventsAfter reads in log order what no running transaction can still
	// put something before. An empty tenant reads every tenant's.
	EventsAfter(ctx context.Context, tenant string, after omni.Position, limit int) ([]omni.Event, error)
	RelayCursor(ctx context.Context, name string) (omni.Position, error)
	AdvanceRelayCursor(ctx context.Context, name string, to omni.Position) error
	Nudged() <-chan struct{}
}

// Bus is where the events go; *bus.Bus is one.
type Bus interface {
	PublishEvents(ctx context.Context, batch []bus.OutgoingEvent) error
	AnnounceLog(ctx context.Context) error
}

// Deps is what a relay is handed.
type Deps struct {
	Store   Store
	Bus     Bus
	Log     *slog.Logger
	Metrics *telemetry.Metrics // nil: none
}

// Relay publishes the event log. Of all processes one at a time is active.
type Relay struct {
	*lifecycle.Leader

	deps Deps
}

// New makes a relay that Start sets going; Stop waits for the batch under way.
func New(deps Deps) *Relay {
	r := &Relay{deps: deps}
	r.Leader = lifecycle.NewLeader(name, deps.Store, deps.Log, r.lead)
	return r
}

// lead is one term as the active relay.
func (r *Relay) lead(ctx context.Context) error {
	cursor, err := r.deps.Store.RelayCursor(ctx, name)
	if err != nil {
		return err
	}
	defer r.Lead()()
	r.deps.Log.InfoContext(ctx, "relaying", "position", cursor.String())
	place := &place{deps: r.deps, kept: cursor}
	defer place.keepLast(ctx)
	var failures int
	var lastWork time.Time
	for ctx.Err() == nil {
		began := time.Now()
		n, next, err := r.step(ctx, cursor)
		if err == nil {
			cursor = next
			err = place.move(ctx, cursor, n == 0)
		}
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			failures++
			r.SetTrouble(err)
			r.deps.Log.WarnContext(ctx, "events not relayed, trying again", "error", err, "failures", failures)
			sleep(ctx, min(retryMin<<min(failures, 10)>>1, retryMax))
			continue
		}
		if failures > 0 {
			r.SetTrouble(nil)
			failures = 0
		}
		if n > 0 {
			lastWork = began
		}
		if n < batchSize && r.rest(ctx, n, time.Since(lastWork) < busyFor) {
			lastWork = time.Now()
		}
	}
	return nil
}

// rest waits, after a batch of n, until it is time to look again, and reports
// whether a write of this process was the reason.
func (r *Relay) rest(ctx context.Context, n int, busy bool) (nudged bool) {
	first := pause
	if n >= manyEvents {
		first = longPause
	}
	if !sleep(ctx, first) {
		return false
	}
	wait := idlePoll
	if busy {
		wait = busyPoll
	}
	t := time.NewTimer(max(wait-first, 0))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-r.deps.Store.Nudged():
		return true
	case <-t.C:
		return false
	}
}

// step relays one batch behind the cursor and returns its size and end.
func (r *Relay) step(ctx context.Context, cursor omni.Position) (n int, next omni.Position, err error) {
	events, err := r.deps.Store.EventsAfter(ctx, "", cursor, batchSize)
	if err != nil || len(events) == 0 {
		return 0, cursor, err
	}
	// Those who follow the log live read it themselves, and need not wait for
	// the streams.
	if err := r.deps.Bus.AnnounceLog(ctx); err != nil {
		return 0, cursor, err
	}
	batch := make([]bus.OutgoingEvent, len(events))
	for i := range events {
		payload, err := omni.CloudEvent(events[i])
		if err != nil {
			return 0, cursor, err
		}
		batch[i] = bus.OutgoingEvent{Event: &events[i], Payload: payload}
	}
	if err := r.deps.Bus.PublishEvents(ctx, batch); err != nil {
		return 0, cursor, err
	}
	next = events[len(events)-1].Position
	r.deps.Metrics.EventsRelayed(ctx, len(batch))
	return len(batch), next, nil
}
