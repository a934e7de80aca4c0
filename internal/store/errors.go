package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

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
	case isUnstorable(err):
		return fmt.Errorf("%s: %w: %w", doing, omni.ErrUnstorable, err)
	default:
		return fmt.Errorf("%s: %w", doing, err)
	}
}

// isUnstorable knows Postgres' words for a text that it cannot hold:
// character_not_in_repertoire, untranslatable_character.
func isUnstorable(err error) bool {
	var refused *pgconn.PgError
	return errors.As(err, &refused) && (refused.Code == "22021" || refused.Code == "22P05")
}

func isCancelled(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
