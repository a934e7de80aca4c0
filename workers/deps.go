package workers

import (
	"log/slog"
	"net/http"
	"sync"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
	"go.temporal.io/sdk/client"

	"github.com/omnihub/omni/activities"
	"github.com/omnihub/omni/activities/access"
	"github.com/omnihub/omni/activities/agent"
	"github.com/omnihub/omni/activities/deliver"
	"github.com/omnihub/omni/activities/identity"
	"github.com/omnihub/omni/activities/media"
	"github.com/omnihub/omni/activities/turn"
	"github.com/omnihub/omni/internal/blob"
	"github.com/omnihub/omni/internal/bus"
	"github.com/omnihub/omni/internal/durable"
	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/store"
	"github.com/omnihub/omni/internal/telemetry"
)

// StepStore is what all steps together need of the database; *store.Store is
// one.
type StepStore interface {
	identity.Store
	access.Store
	turn.Store
	agent.Store
	deliver.Store
	media.Store
}

// Deps is what the roles of one process share.
type Deps struct {
	Store     *store.Store
	Instances *store.InstanceCache
	Agents    *store.AgentCache // nil: there are only instances' own
	Bus       *bus.Bus
	Temporal  client.Client
	Engine    *durable.Engine
	HTTP      *http.Client              // guarded
	CheckURL  func(rawURL string) error // what HTTP would refuse
	Blobs     *blob.Files               // the bytes of attachments
	Providers agent.Provider
	Log       *slog.Logger
	Metrics   *telemetry.Metrics
	Meter     metric.Meter
	Tracer    trace.Tracer // nil: the global one

	// Owner is the same after a restart only where no two processes can share
	// it (the embedded hub's data directory); Process never is.
	Owner, Process string
	PublicURL      string
	AgentHere      bool // role agent runs in this process, whatever else does
	AgentCalls     int  // how many calls of agents each worker makes at once; 0: 2000

	// Latencies decide about quick paths; the roles of a process share them.
	Latencies *Latencies

	// Steps and Gateway stand between the steps and the world: tests put
	// something there that dies at a chosen moment. Nil: Store and Bus.
	Steps   StepStore
	Gateway deliver.Gateway
}

// maxAgentCalls is how many calls of agents a worker makes at once: they mostly
// wait.
const maxAgentCalls = 2000

func (d Deps) agentCalls() int {
	if d.AgentCalls > 0 {
		return d.AgentCalls
	}
	return maxAgentCalls
}

// agents is the cache as the steps take it: no pointer to nothing in an interface.
func (d Deps) agents() activities.Agents {
	if d.Agents == nil {
		return nil
	}
	return d.Agents
}

// Latencies are what the last calls took, of agents and of channels. The zero
// value knows nothing.
type Latencies struct {
	channels omni.Latencies
	once     sync.Once
	quick    *agent.Quick
}

func (l *Latencies) agents(d Deps) *agent.Quick {
	l.once.Do(func() { l.quick = &agent.Quick{Log: d.Store} })
	return l.quick
}
