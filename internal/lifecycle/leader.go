package lifecycle

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
)

// Elector lets one process at a time lead under a name; *store.Store is one.
type Elector interface {
	// Lead runs fn while this process leads, and again whenever it does, until
	// ctx ends. What a term ended with is reported to onError.
	Lead(ctx context.Context, name string, onError func(error), fn func(context.Context) error) error
	HasLeader(ctx context.Context, name string) (bool, error)
}

// Leader is a Loop that is active in one process at a time.
type Leader struct {
	*Loop

	elector Elector
	leading atomic.Bool
}

// NewLeader makes a leader that Start lets compete for the lead under its name;
// term is one time of having it.
func NewLeader(name string, elector Elector, log *slog.Logger, term func(ctx context.Context) error) *Leader {
	l := &Leader{elector: elector}
	l.Loop = NewLoop(name, func(ctx context.Context) {
		_ = elector.Lead(ctx, name, func(err error) {
			log.Error(name+" interrupted", "error", err)
			l.SetTrouble(err)
		}, term)
	})
	return l
}

// Lead says that the term has begun its work; over ends that.
func (l *Leader) Lead() (over func()) {
	l.SetTrouble(nil)
	l.leading.Store(true)
	return func() { l.leading.Store(false) }
}

// Health reports why the work might not be done: a trouble here, or nobody who
// is active anywhere.
func (l *Leader) Health(ctx context.Context) error {
	if err := l.Loop.Health(ctx); err != nil || l.leading.Load() {
		return err
	}
	has, err := l.elector.HasLeader(ctx, l.name)
	if err == nil && !has {
		err = fmt.Errorf("no %s is active", l.name)
	}
	return err
}
