package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/omnihub/omni/internal/omni"
)

// ErrNotFound says that the row does not exist (or belongs to nobody any
// more). It is omni.ErrNotFound, so that callers need not import the store.
var ErrNotFound = omni.ErrNotFound

// wrap gives err the gerund of what was being done, and "no rows" its name.
func wrap(err error, doing string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, pgx.ErrNoRows):
		return fmt.Errorf("%s: %w", doing, ErrNotFound)
	default:
		return fmt.Errorf("%s: %w", doing, err)
	}
}

func isCancelled(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
