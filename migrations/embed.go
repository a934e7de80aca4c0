// Package migrations holds Omni's schema as numbered SQL files, applied by
// goose under an advisory lock (omni migrate, omni up).
package migrations

import "embed"

// FS holds every migration.
//
//go:embed *.sql
var FS embed.FS
