package omni_test

import (
	"encoding/base64"
	"math"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/internal/omni"
)

// A cursor that nobody gave out is refused, or is a place like any other: it is
// never one that the database does not know.
func TestForgedCursors(t *testing.T) {
	t.Parallel()
	k := omni.Key{At: time.Date(2026, 5, 4, 3, 2, 1, 1000, time.UTC), ID: uuid.New()}
	got, err := omni.ParseCursor(k.Cursor())
	require.NoError(t, err)
	require.Equal(t, k, *got)
	ranked, err := omni.ParseRankedCursor(omni.RankedKey{Rank: 3, Key: k}.Cursor())
	require.NoError(t, err)
	require.Equal(t, k, ranked.Key)
	for _, micros := range []int64{math.MinInt64, math.MaxInt64, math.MaxInt64 - 1e15, -1e17, 253402300800_000_000} {
		far := omni.Key{At: time.UnixMicro(micros), ID: uuid.New()}
		_, err := omni.ParseCursor(far.Cursor())
		require.Error(t, err, micros)
		_, err = omni.ParseRankedCursor(omni.RankedKey{Key: far}.Cursor())
		require.Error(t, err, micros)
	}
	for _, bad := range []string{"x", "AAAA", base64.RawURLEncoding.EncodeToString(make([]byte, 25)), "%00"} {
		_, err := omni.ParseCursor(bad)
		require.Error(t, err, bad)
	}
}
