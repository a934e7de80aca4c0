//go:build slim

package embedded

import (
	"context"
	"errors"
	"log/slog"

	"github.com/omnihub/omni/internal/config"
)

// Start refuses unless every part is external: this build has no stack.
func Start(ctx context.Context, cfg *config.Config, _ *slog.Logger) (*Stack, error) {
	if cfg.DatabaseURL == "" || cfg.NATSURL == "" || cfg.TemporalAddress == "" {
		return nil, errors.New("this omni was built without the embedded stack (-tags slim): " +
			"set DATABASE_URL, NATS_URL and TEMPORAL_ADDRESS, or use a full build")
	}
	lock, err := lockDataDir(cfg.DataDir)
	if err != nil {
		return nil, err
	}
	stack := &Stack{stop: func(context.Context) error { return lock.Close() }}
	stack.TemporalAddress = cfg.TemporalAddress
	if err := stack.useDatabase(ctx, cfg); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	if err := stack.useNATS(cfg); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return stack, nil
}
