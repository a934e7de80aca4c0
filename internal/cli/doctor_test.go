package cli_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Doctor says whose addresses the limits count, whether or not the hub answers.
func TestDoctorLooksAtTheProxies(t *testing.T) {
	t.Parallel()
	data := "OMNI_DATA_DIR=" + filepath.Join(t.TempDir(), "data")
	for name, test := range map[string]struct {
		environ []string
		want    string
	}{
		"a proxy that nobody named": {[]string{"OMNI_PUBLIC_URL=https://chat.example.com"}, "! OMNI_TRUSTED_PROXIES unset"},
		"a proxy that is named":     {[]string{"OMNI_PUBLIC_URL=https://chat.example.com", "OMNI_TRUSTED_PROXIES=10.0.0.0/8"}, "✓ OMNI_TRUSTED_PROXIES clients behind 10.0.0.0/8"},
		"everybody":                 {[]string{"OMNI_TRUSTED_PROXIES=0.0.0.0/0"}, "! OMNI_TRUSTED_PROXIES 0.0.0.0/0 is everybody"},
	} {
		r := run(t, append(test.environ, data, "OMNI_API_KEY=key-of-the-cli-tests"), "doctor", "--url", "http://127.0.0.1:1")
		require.Equal(t, 1, r.code)
		require.Contains(t, r.stdout, test.want, name)
	}
	r := run(t, []string{data, "OMNI_API_KEY=key-of-the-cli-tests"}, "doctor", "--url", "http://127.0.0.1:1")
	require.NotContains(t, r.stdout, "PROXIES", "nothing to say of a hub without one")
}
