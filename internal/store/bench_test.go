package store_test

import (
	"flag"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/internal/store"
	"github.com/omnihub/omni/internal/testkit"
)

// keptDatabase lets a benchmark be filled once and timed often: filling in a
// million takes minutes, and timing wants a machine that does nothing else.
var keptDatabase = flag.String("kept", "", "URL of a database that a benchmark fills, if it has not before, and leaves")

// benchStore opens a database for a benchmark. filled: it has that table, which
// filling it in leaves behind.
func benchStore(b *testing.B, table string, parameters ...string) (st *store.Store, filled bool) {
	b.Helper()
	url := *keptDatabase
	if url == "" {
		url = testkit.Postgres(b)
	} else {
		_, err := store.Migrate(b.Context(), url)
		require.NoError(b, err)
	}
	st, err := store.Open(b.Context(), withParameters(url, parameters...), 4)
	require.NoError(b, err)
	b.Cleanup(st.Close)
	require.NoError(b, st.Pool().QueryRow(b.Context(), `SELECT to_regclass($1) IS NOT NULL`, table).Scan(&filled))
	return st, filled
}

// withParameters sets parameters ("name=value") of the connections of a URL.
func withParameters(url string, parameters ...string) string {
	for _, p := range parameters {
		sign := "?"
		if strings.Contains(url, sign) {
			sign = "&"
		}
		url += sign + p
	}
	return url
}
