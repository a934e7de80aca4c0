package workers

import (
	"log/slog"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/workflow"

	"github.com/omnihub/omni/activities"
	"github.com/omnihub/omni/internal/telemetry"
	"github.com/omnihub/omni/workflows"
)

// registered is a registry that keeps what it is given, by name.
type registered map[string]reflect.Type

func (r registered) RegisterActivityWithOptions(a any, o activity.RegisterOptions) {
	r[o.Name] = reflect.TypeOf(a)
}

func (r registered) RegisterWorkflowWithOptions(w any, o workflow.RegisterOptions) {
	r[o.Name] = reflect.TypeOf(w)
}

// queues are the steps, by the queue whose worker runs them.
func queues() map[string]registered {
	out := map[string]registered{}
	for _, queue := range []string{activities.QueuePipeline, activities.QueueAgents, activities.QueueDelivery, activities.QueueMedia} {
		out[queue] = registered{}
		registerSteps(out[queue], Deps{Latencies: &Latencies{}}, queue)
	}
	return out
}

// The tables of docs/pipeline.md name every step with where it runs, and every
// workflow; and nothing else.
func TestThePipelineIsDocumented(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../docs/pipeline.md")
	require.NoError(t, err)
	said := map[string]string{} // name to where it runs
	for _, row := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\| ([^|]+) \\|").FindAllStringSubmatch(string(raw), -1) {
		said[row[1]] = row[2]
	}
	known := registered{}
	workflows.Register(known)
	for queue, steps := range queues() {
		for name := range steps {
			known[name] = nil
			require.Contains(t, said, name)
			local := queue == activities.QueuePipeline && strings.HasPrefix(said[name], "local")
			require.True(t, local || strings.Contains(said[name], "`"+queue+"`"), "%s runs on %s, not %s", name, queue, said[name])
		}
		for name, where := range said {
			if strings.Contains(where, "`"+queue+"`") {
				require.Contains(t, steps, name, "%s does not run on %s", name, queue)
			}
		}
	}
	for name := range said {
		require.Contains(t, known, name)
	}
	for name := range known {
		require.Contains(t, said, name)
	}
}

// Every line of a step about a message, or a turn, says whose it is.
func TestLinesSayWhoseTheyAre(t *testing.T) {
	t.Parallel()
	found := 0
	for _, steps := range queues() {
		for name, fn := range steps {
			in := reflect.New(fn.In(1)).Elem()
			if !ofTenant(in, "acme") { // turn.Wake, turn.Sweep
				continue
			}
			found++
			require.Contains(t, subject(in.Interface()), slog.String(telemetry.KeyTenant, "acme"), name)
		}
	}
	require.Greater(t, found, 12)
}

// ofTenant sets the TenantID of an input, or of what it is about; false where
// there is none.
func ofTenant(v reflect.Value, tenant string) bool {
	for i := range v.NumField() {
		switch f := v.Field(i); {
		case v.Type().Field(i).Name == "TenantID":
			f.SetString(tenant)
			return true
		case f.Kind() == reflect.Struct && f.CanSet() && ofTenant(f, tenant):
			return true
		}
	}
	return false
}
