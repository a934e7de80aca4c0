package agent

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/omnihub/omni/internal/omni"
)

// LatencyLog remembers how long agents took, across restarts.
type LatencyLog interface {
	// AgentLatencies returns the last ones of an agent, oldest first: of the
	// instance's own ("") in that instance, of any other wherever it answered.
	AgentLatencies(ctx context.Context, instance uuid.UUID, agent string, limit int) ([]time.Duration, error)
}

// Quick knows which agents have been quick of late: those may be called while
// a workflow task waits. It is safe for concurrent use.
type Quick struct {
	Log LatencyLog // nil: nothing is known at the start

	calls  omni.Latencies
	mu     sync.Mutex
	loaded map[string]bool
}

// loadLatencies is how much of the log is read; the window of Latencies.
const loadLatencies = 20

// Agent reports whether the instance's agent may take the quick path: as its
// configuration says, else if its last calls were quick. The first question
// about an instance reads its last turns.
func (q *Quick) Agent(ctx context.Context, inst *omni.Instance) bool {
	agent := inst.Settings.Agent
	switch {
	case agent == nil || agent.Quick == "never":
		return false
	case agent.Quick != "always" && agent.Gate != nil && agent.Gate.Mode == omni.GateByModel: // another call before it
		return false
	case agent.Provider == omni.ProviderEcho:
		return true
	case agent.Streaming:
		// What is shown while it is being said is not said in the moment that
		// the quick path has.
		return false
	case agent.Quick == "always":
		return true
	}
	q.load(ctx, inst)
	return q.calls.Quick(latencyKey(inst))
}

// Observe adds a call of the instance's agent.
func (q *Quick) Observe(inst *omni.Instance, took time.Duration) {
	q.calls.Observe(latencyKey(inst), took)
}

// load takes the log's word for an instance that this process has not seen
// yet. Where it cannot be read, the agent counts as unknown, and is asked for
// the next time.
func (q *Quick) load(ctx context.Context, inst *omni.Instance) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.Log == nil || q.loaded[owner(inst)] {
		return
	}
	took, err := q.Log.AgentLatencies(ctx, inst.ID, inst.AgentKey, loadLatencies)
	if err != nil {
		return
	}
	if q.loaded == nil {
		q.loaded = map[string]bool{}
	}
	q.loaded[owner(inst)] = true
	for _, d := range took {
		q.calls.Observe(latencyKey(inst), d)
	}
}

// owner of the latencies: an agent by itself is as quick in every instance.
func owner(inst *omni.Instance) string {
	if inst.AgentKey != "" {
		return inst.AgentKey
	}
	return inst.ID.String()
}

// latencyKey names an agent: with another model, it is another one.
func latencyKey(inst *omni.Instance) string {
	a := inst.Settings.Agent
	return strings.Join([]string{owner(inst), a.Provider, a.APIURL, a.Model}, "\n")
}
