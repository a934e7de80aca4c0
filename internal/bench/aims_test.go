package main

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAimsSayWhatIsReached(t *testing.T) {
	t.Parallel()
	o := options{pairs: 3, rate: 50}
	var b strings.Builder
	writeAims(&b, o, []*figures{
		{name: nameFloor, burst: []float64{200, 200, 100}},
		{name: nameEcho, burst: []float64{130, 110, 70}, omniTx: 4.5, p50: 16 * time.Millisecond},
		{name: nameSlow, burst: []float64{50, 70, 20}, omniTx: math.NaN()},
		{name: nameIngest, burst: []float64{1700, 900, 1200}},
	})
	require.Equal(t, `
| aim | wanted | measured | reached |
|---|---|---|---|
| echo against the floor, burst | at least 0.6 | 0.65 | yes |
| echo, transactions of Omni per message | at most 6 | 4.5 | yes |
| echo, reply at 50/s, p50 | at most 15 ms | 16 ms | no |
| slow against the floor, burst | at least 0.3 | 0.25 | no |
| ingest, burst | at least 1000 messages/s | 1200 messages/s | yes |
| ingest at 1000/s, row in Postgres, p99 | at most 50 ms |  |  |
`, b.String())
}
