package cli

import (
	"context"
	"log/slog"
	"time"

	"github.com/omnihub/omni/internal/lifecycle"
	"github.com/omnihub/omni/internal/store"
)

// upkeepEvery is how often the log's next partitions are made. Rows that come
// before their partition are not lost: they go to the default one.
const upkeepEvery = 24 * time.Hour

// upkeep does what the database needs now and then.
type upkeep struct {
	*lifecycle.Loop

	store *store.Store
	log   *slog.Logger
}

func newUpkeep(st *store.Store, log *slog.Logger) *upkeep {
	u := &upkeep{store: st, log: log}
	u.Loop = lifecycle.NewLoop("upkeep", u.run)
	return u
}

func (u *upkeep) Start(ctx context.Context) error {
	if err := u.store.EnsurePartitions(ctx); err != nil {
		return err
	}
	return u.Loop.Start(ctx)
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
