//go:build slim

package embedded

import (
	"context"
	"errors"
	"log/slog"

	"github.com/omnihub/omni/internal/config"
)

// Start refuses: this build has no stack.
func Start(context.Context, *config.Config, *slog.Logger) (*Stack, error) {
	return nil, errors.New("this omni was built without the embedded stack (-tags slim): " +
		"use omni serve with DATABASE_URL, NATS_URL and TEMPORAL_ADDRESS, or a full build")
}
