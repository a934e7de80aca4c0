package cli

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/omnihub/omni/internal/store"
)

// upkeepEvery is how often the log's next partitions are made. Rows that come
// before their partition are not lost: they go to the default one.
const upkeepEvery = 24 * time.Hour

// upkeep does what the database needs now and then.
type upkeep struct {
	store *store.Store
	log   *slog.Logger

	cancel context.CancelFunc
	done   sync.WaitGroup
}

func newUpkeep(st *store.Store, log *slog.Logger) *upkeep { return &upkeep{store: st, log: log} }

func (u *upkeep) Start(ctx context.Context) error {
	if err := u.store.EnsurePartitions(ctx); err != nil {
		return err
	}
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	u.cancel = cancel
	u.done.Go(func() { u.run(run) })
	return nil
}

func (u *upkeep) run(ctx context.Context) {
	ticker := time.NewTicker(upkeepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		if err := u.store.EnsurePartitions(ctx); err != nil && ctx.Err() == nil {
			u.log.Warn("the upkeep of the database did not work", "error", err)
		}
	}
}

func (u *upkeep) Stop(context.Context) error {
	if u.cancel != nil {
		u.cancel()
		u.done.Wait()
	}
	return nil
}
