package workers

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/worker"

	"github.com/omnihub/omni/activities"
	"github.com/omnihub/omni/workflows"
)

// stopGrace is how long a worker waits for what it is doing. What is cut off
// after it goes on elsewhere, or here after the restart: the rows say from where.
const stopGrace = 5 * time.Second

// temporalWorker is a Temporal worker as a service.
type temporalWorker struct {
	worker worker.Worker

	fatal atomic.Pointer[error] // why it has ended by itself
}

// newWorker makes the worker of a queue, which runs its steps. Registering by
// alias would add names that no catalogue knows.
func newWorker(d Deps, queue string, o worker.Options) *temporalWorker {
	w := &temporalWorker{}
	o.DisableRegistrationAliasing = true
	o.WorkerStopTimeout = stopGrace
	o.OnFatalError = func(err error) {
		d.Log.Error("the worker has failed", "queue", queue, "error", err)
		w.failed(fmt.Errorf("the worker of queue %s has ended: %w", queue, err))
	}
	w.worker = worker.New(d.Temporal, queue, o)
	registerSteps(w.worker, d, queue)
	return w
}

func (w *temporalWorker) failed(err error) { w.fatal.Store(&err) }

// Start implements lifecycle.Service.
func (w *temporalWorker) Start(context.Context) error { return w.worker.Start() }

// Stop implements lifecycle.Service.
func (w *temporalWorker) Stop(context.Context) error {
	w.worker.Stop()
	return nil
}

// Health reports why nobody here takes what the queue holds: a worker that
// Temporal refused for good does not come back by itself.
func (w *temporalWorker) Health(context.Context) error {
	if err := w.fatal.Load(); err != nil {
		return *err
	}
	return nil
}

// pipelineWorker runs workflows and, local to them, nearly every step.
func pipelineWorker(d Deps) (*temporalWorker, error) {
	options, err := d.Engine.PipelineOptions(d.agentCalls()) // of agents that are called here
	if err != nil {
		return nil, err
	}
	w := newWorker(d, activities.QueuePipeline, options)
	workflows.Register(w.worker)
	return w, nil
}

// agentWorker runs the agent calls that are not quick: many at once, because
// they mostly wait.
func agentWorker(d Deps) *temporalWorker {
	return newWorker(d, activities.QueueAgents, worker.Options{
		DisableWorkflowWorker: true, MaxConcurrentActivityExecutionSize: d.agentCalls(), MaxConcurrentActivityTaskPollers: 16})
}

// deliveryWorker runs the deliveries that are not quick.
func deliveryWorker(d Deps) *temporalWorker {
	return newWorker(d, activities.QueueDelivery, worker.Options{
		DisableWorkflowWorker: true, MaxConcurrentActivityExecutionSize: 1000, MaxConcurrentActivityTaskPollers: 4})
}

// mediaWorker fetches attachments.
func mediaWorker(d Deps) *temporalWorker {
	return newWorker(d, activities.QueueMedia, worker.Options{
		DisableWorkflowWorker: true, MaxConcurrentActivityExecutionSize: 100, MaxConcurrentActivityTaskPollers: 2})
}

// registry takes activities; a Temporal worker is one.
type registry interface {
	RegisterActivityWithOptions(a any, options activity.RegisterOptions)
}

func register[In, Out any](r registry, d Deps, name string, fn func(context.Context, In) (Out, error)) {
	r.RegisterActivityWithOptions(instrumented(d, name, fn), activity.RegisterOptions{Name: name})
}

// registerSteps registers what the worker of a queue runs. docs/pipeline.md
// says the same.
func registerSteps(r registry, d Deps, queue string) {
	s := newSteps(d)
	switch queue {
	case activities.QueuePipeline:
		register(r, d, activities.IdentityResolve, s.identity.Resolve)
		register(r, d, activities.AccessCheck, s.access.Check)
		register(r, d, activities.MediaGiveUp, s.media.GiveUp)
		register(r, d, activities.TurnJoin, s.turn.Join)
		register(r, d, activities.TurnReady, s.turn.Ready)
		register(r, d, activities.TurnClose, s.turn.Close)
		register(r, d, activities.TurnYield, s.turn.Yield)
		register(r, d, activities.TurnFinish, s.turn.Finish)
		register(r, d, activities.TurnWake, s.turn.Wake)
		register(r, d, activities.TurnSweep, s.turn.Sweep)
		register(r, d, activities.AgentReply, s.agent.Reply)
		register(r, d, activities.AgentAwait, s.agent.Await)
		register(r, d, activities.AgentGiveUp, s.agent.GiveUp)
		register(r, d, activities.DeliverSend, s.deliver.Send)
		register(r, d, activities.FollowUpArm, s.turn.Arm)
		register(r, d, activities.FollowUpClaim, s.turn.Claim)
	case activities.QueueAgents:
		register(r, d, activities.AgentReply, s.agent.Reply)
	case activities.QueueDelivery:
		register(r, d, activities.DeliverSend, s.deliver.Send)
	case activities.QueueMedia:
		register(r, d, activities.MediaFetch, s.media.Fetch)
	}
}
