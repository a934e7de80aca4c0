package ingest

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPoisonIsItsTenants(t *testing.T) {
	t.Parallel()
	for subject, tenant := range map[string]string{
		"channel.inbound.acme.custom.0190b9a0-0000-7000-8000-000000000000": "acme",
		"channel.inbound.default.custom.x":                                 "default",
		"channel.inbound._.custom.x":                                       "default",
		"channel.inbound":                                                  "default",
	} {
		require.Equal(t, tenant, tenantOf(subject), subject)
	}
}
