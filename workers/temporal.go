package workers

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
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

// newWorker makes a worker for a queue. Registering by alias would add names
// that no catalogue knows.
func newWorker(c client.Client, queue string, log *slog.Logger, o worker.Options) *temporalWorker {
	w := &temporalWorker{}
	o.DisableRegistrationAliasing = true
	o.WorkerStopTimeout = stopGrace
	o.OnFatalError = func(err error) {
		log.Error("the worker has failed", "queue", queue, "error", err)
		w.failed(fmt.Errorf("the worker of queue %s has ended: %w", queue, err))
	}
	w.worker = worker.New(c, queue, o)
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

func register[In, Out any](w *temporalWorker, d Deps, name string, fn func(context.Context, In) (Out, error)) {
	w.worker.RegisterActivityWithOptions(instrumented(d, name, fn), activity.RegisterOptions{Name: name})
}

// pipelineWorker runs workflows and, local to them, every step.
func pipelineWorker(d Deps) (*temporalWorker, error) {
	options, err := d.Engine.PipelineOptions(d.agentCalls()) // of agents that are called here
	if err != nil {
		return nil, err
	}
	w := newWorker(d.Temporal, workflows.QueuePipeline, d.Log, options)
	workflows.Register(w.worker)
	s := newSteps(d)
	register(w, d, activities.IdentityResolve, s.identity.Resolve)
	register(w, d, activities.AccessCheck, s.access.Check)
	register(w, d, activities.TurnJoin, s.turn.Join)
	register(w, d, activities.TurnReady, s.turn.Ready)
	register(w, d, activities.TurnClose, s.turn.Close)
	register(w, d, activities.TurnYield, s.turn.Yield)
	register(w, d, activities.TurnFinish, s.turn.Finish)
	register(w, d, activities.TurnWake, s.turn.Wake)
	register(w, d, activities.TurnSweep, s.turn.Sweep)
	register(w, d, activities.FollowUpArm, s.turn.Arm)
	register(w, d, activities.FollowUpClaim, s.turn.Claim)
	register(w, d, activities.AgentReply, s.agent.Reply)
	register(w, d, activities.AgentAwait, s.agent.Await)
	register(w, d, activities.AgentGiveUp, s.agent.GiveUp)
	register(w, d, activities.DeliverSend, s.deliver.Send)
	register(w, d, activities.MediaGiveUp, s.media.GiveUp)
	return w, nil
}

// agentWorker runs the agent calls that are not quick: many at once, because
// they mostly wait.
func agentWorker(d Deps) *temporalWorker {
	w := newWorker(d.Temporal, activities.QueueAgents, d.Log, worker.Options{
		DisableWorkflowWorker: true, MaxConcurrentActivityExecutionSize: d.agentCalls(), MaxConcurrentActivityTaskPollers: 16})
	register(w, d, activities.AgentReply, newSteps(d).agent.Reply)
	return w
}

// deliveryWorker runs the deliveries that are not quick.
func deliveryWorker(d Deps) *temporalWorker {
	w := newWorker(d.Temporal, activities.QueueDelivery, d.Log, worker.Options{
		DisableWorkflowWorker: true, MaxConcurrentActivityExecutionSize: 1000, MaxConcurrentActivityTaskPollers: 4})
	register(w, d, activities.DeliverSend, newSteps(d).deliver.Send)
	return w
}

// mediaWorker fetches attachments.
func mediaWorker(d Deps) *temporalWorker {
	w := newWorker(d.Temporal, activities.QueueMedia, d.Log, worker.Options{
		DisableWorkflowWorker: true, MaxConcurrentActivityExecutionSize: 100, MaxConcurrentActivityTaskPollers: 2})
	register(w, d, activities.MediaFetch, newSteps(d).media.Fetch)
	return w
}
