package provider

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A service may ask for any wait; what is made of it can be added to others.
func TestRetryAfterIsBounded(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for header, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, "0.25": 250 * time.Millisecond, "-1": 0, "NaN": 0, "soon": 0,
		"1e300": maxRetryAfter, "Inf": maxRetryAfter, "9223372037": maxRetryAfter, "Fri, 31 Dec 9999 23:59:59 GMT": maxRetryAfter,
	} {
		require.Equal(t, want, retryAfter(http.Header{"Retry-After": {header}}, now), header)
	}
	require.Equal(t, maxRetryAfter, retryAfter(http.Header{"Retry-After-Ms": {"1e300"}}, now))
	require.Equal(t, 1500*time.Microsecond, retryAfter(http.Header{"Retry-After-Ms": {"1.5"}}, now))
}
