package postgresd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	fetcher "github.com/fergusstrange/embedded-postgres"

	"github.com/omnihub/omni/internal/embedded/freeport"
)

// fetchVersion is what is downloaded where nothing is installed.
const fetchVersion = fetcher.V17

// Binaries finds installed Postgres binaries (see FindBinaries), else fetches
// them once into the user's cache.
func Binaries(ctx context.Context, major string, owner *Owner, log *slog.Logger) (string, error) {
	bin, err := FindBinaries(major)
	if err == nil || !errors.Is(err, ErrNoBinaries) {
		return bin, err
	}
	cache, cacheErr := cacheDir(owner)
	if cacheErr != nil {
		return "", err
	}
	fetched := filepath.Join(cache, string(fetchVersion), "bin")
	if complete(fetched) {
		return fetched, nil
	}
	log.Info("no Postgres is installed, fetching one", "version", string(fetchVersion), "to", cache)
	if fetchErr := fetch(ctx, cache); !complete(fetched) {
		return "", fmt.Errorf("%w (fetching them did not work either: %w)", err, fetchErr)
	}
	return fetched, nil
}

// fetch downloads and unpacks. The library can only do so on the way to a
// running server, which it cannot start as root: whether it worked is seen by
// the binaries being there.
func fetch(ctx context.Context, cache string) error {
	scratch, err := os.MkdirTemp(cache, "unpack-")
	if err != nil {
		return fmt.Errorf("making a temporary folder: %w", err)
	}
	defer func() { _ = os.RemoveAll(scratch) }()
	ports, err := freeport.Choose(ctx, 1)
	if err != nil {
		return err
	}
	database := fetcher.NewDatabase(fetcher.DefaultConfig().
		Version(fetchVersion).CachePath(cache).BinariesPath(filepath.Join(cache, string(fetchVersion))).
		RuntimePath(scratch).Port(uint32(ports[0])).Logger(io.Discard))
	result := make(chan error, 1)
	go func() {
		err := database.Start()
		if err == nil {
			err = database.Stop()
		}
		result <- err
	}()
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// cacheDir is the user's; for root, whose home other users cannot enter, the
// system's: Postgres runs as another user and must reach its own program.
func cacheDir(owner *Owner) (string, error) {
	base := "/var/cache"
	if owner == nil {
		var err error
		if base, err = os.UserCacheDir(); err != nil {
			return "", fmt.Errorf("finding the cache folder: %w", err)
		}
	}
	dir := filepath.Join(base, "omni", "postgres")
	//nolint:gosec // Postgres, as another user, must reach it
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("making the cache folder: %w", err)
	}
	return dir, nil
}
