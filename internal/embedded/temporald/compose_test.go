package temporald

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/server/common/dynamicconfig"
)

// docker-compose.yml gives its Temporal what the embedded one has, and what
// docs/operations.md asks of any.
func TestComposeSettingsAreOurs(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../../../docker-compose.yml")
	require.NoError(t, err)
	_, configs, found := strings.Cut(string(raw), "\n  temporal:\n    content: |\n")
	require.True(t, found)
	set := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^ {6}([a-zA-Z.]+):\n {8}- value: (\S+)$`).FindAllStringSubmatch(configs, -1) {
		set[strings.ToLower(m[1])] = m[2] // as Temporal keeps them
	}
	for _, key := range []dynamicconfig.Key{dynamicconfig.EnableActivityEagerExecution.Key(), dynamicconfig.WorkflowTaskRetryMaxInterval.Key()} {
		require.Contains(t, set, key.String())
	}
	ours := map[string]string{}
	for key, value := range dynamicSettings() {
		ours[key.String()] = fmt.Sprint(value)
	}
	for key, value := range set {
		require.Equal(t, ours[key], value, key)
	}
}
