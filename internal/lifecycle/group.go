package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// Group is a Service made of others. The zero value is an empty group without
// a log. Its methods may be called by several goroutines; a Stop that comes
// during a Start cancels it.
type Group struct {
	// Log tells how long each member took to start and to stop; nil is silent.
	Log *slog.Logger

	running sync.Mutex // held by Start and Stop while they work

	mutex   sync.Mutex // guards the fields below
	members []member
	started int                // members[:started] run
	cancel  context.CancelFunc // of the Start under way
}

type member struct {
	name    string
	service Service
}

var _ Service = (*Group)(nil)

// Add appends a member: started after those before it, stopped before them. It
// must not be called once the group has started.
func (g *Group) Add(name string, service Service) {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	g.members = append(g.members, member{name, service})
}

// Start starts the members in order. If one cannot start, those before it are
// stopped and its error is returned, joined with theirs. Starting a group that
// runs does nothing.
func (g *Group) Start(ctx context.Context) error {
	g.running.Lock()
	defer g.running.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	g.mutex.Lock()
	if g.started > 0 {
		g.mutex.Unlock()
		return nil
	}
	g.cancel = cancel
	members := g.members
	g.mutex.Unlock()

	for i, m := range members {
		began := time.Now()
		err := ctx.Err()
		if err == nil {
			err = m.service.Start(ctx)
		}
		if err != nil {
			// The caller's deadline may be what ended the start; the members
			// that run must be stopped all the same.
			stopErr := g.stopMembers(context.WithoutCancel(ctx))
			return errors.Join(fmt.Errorf("starting %s: %w", m.name, err), stopErr)
		}
		g.mutex.Lock()
		g.started = i + 1
		g.mutex.Unlock()
		g.debug("started", m.name, began)
	}
	return nil
}

// Stop stops the members that run, last first, and joins their errors. Each is
// told to stop even when ctx is over. A second Stop does nothing.
func (g *Group) Stop(ctx context.Context) error {
	g.mutex.Lock()
	if g.cancel != nil {
		g.cancel()
	}
	g.mutex.Unlock()
	g.running.Lock()
	defer g.running.Unlock()
	return g.stopMembers(ctx)
}

func (g *Group) stopMembers(ctx context.Context) error {
	g.mutex.Lock()
	members := g.members[:g.started]
	g.started = 0
	g.mutex.Unlock()
	var errs []error
	for _, m := range slices.Backward(members) {
		began := time.Now()
		if err := m.service.Stop(ctx); err != nil {
			errs = append(errs, fmt.Errorf("stopping %s: %w", m.name, err))
		}
		g.debug("stopped", m.name, began)
	}
	return errors.Join(errs...)
}

func (g *Group) debug(what, name string, began time.Time) {
	if g.Log != nil {
		g.Log.Debug(what, "part", name, "took_ms", time.Since(began).Milliseconds())
	}
}
