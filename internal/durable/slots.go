package durable

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.temporal.io/sdk/worker"
)

const (
	// begunPerCPU bounds the first tasks that a process works on at once: more
	// of them only make each one slow. They may wait for a quick agent in it.
	begunPerCPU = 48
	// tasksThatGoOn is how many tasks it works on besides: a workflow that goes
	// on does not wait for new ones.
	tasksThatGoOn = 160
	// tasksAskedFor is how many askers wait for one of these: a task that finds
	// one is handed over, any other is written to its queue and read again.
	tasksAskedFor = 40
	// roomWithin is how long a start waits for room. After it the workflow is
	// started all the same, and its first task goes to whoever asks.
	roomWithin = 3 * time.Second
)

// Slots are the places for the workflow tasks of a process. The first task of
// a workflow is handed over with its start where there is a place (eager
// start), which spares Temporal a third of the work; so starts wait for a
// place for a moment. Until then a message stays in its stream.
type Slots struct {
	worker.SlotSupplier

	begunAtMost int

	mu    sync.Mutex
	begun int           // places of workflows that have just been started
	freed chan struct{} // closed when one of them comes free
}

func newSlots(cpus int) *Slots {
	begunAtMost := begunPerCPU * cpus
	supplier, err := worker.NewFixedSizeSlotSupplier(begunAtMost + tasksThatGoOn)
	if err != nil {
		panic(err) // the number is positive
	}
	return &Slots{SlotSupplier: supplier, begunAtMost: begunAtMost, freed: make(chan struct{})}
}

// eagerStart marks the places of workflows that have just been started.
type eagerStart struct{}

// TryReserveSlot implements worker.SlotSupplier. It is asked for first tasks only.
func (s *Slots) TryReserveSlot(info worker.SlotReservationInfo) *worker.SlotPermit {
	permit := s.SlotSupplier.TryReserveSlot(info)
	if permit == nil {
		return nil
	}
	permit.UserData = eagerStart{}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begun++
	return permit
}

// ReleaseSlot implements worker.SlotSupplier.
func (s *Slots) ReleaseSlot(info worker.SlotReleaseInfo) {
	_, first := info.Permit().UserData.(eagerStart)
	s.SlotSupplier.ReleaseSlot(info)
	if !first {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begun--
	if s.begun < s.begunAtMost {
		close(s.freed)
		s.freed = make(chan struct{})
	}
}

// await returns when there is room for a workflow's first task, after
// roomWithin, or with ctx.
func (s *Slots) await(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, roomWithin)
	defer cancel()
	for {
		s.mu.Lock()
		room, freed := s.begun < s.begunAtMost, s.freed
		s.mu.Unlock()
		if room {
			return
		}
		select {
		case <-freed:
		case <-ctx.Done():
			return
		}
	}
}

// tuner is a fixed number of places each, with Slots for workflow tasks.
type tuner struct {
	worker.WorkerTuner

	slots *Slots
}

// GetWorkflowTaskSlotSupplier implements worker.WorkerTuner.
func (t tuner) GetWorkflowTaskSlotSupplier() worker.SlotSupplier { return t.slots }

// PipelineOptions are those of the worker that runs workflows and, local to
// them, every step. activities is how many regular ones it runs at once.
func (e *Engine) PipelineOptions(activities int) (worker.Options, error) {
	fixed, err := worker.NewFixedSizeTuner(worker.FixedSizeTunerOptions{NumWorkflowSlots: 1, // not used: see tuner

		NumActivitySlots: activities, NumLocalActivitySlots: 2 * e.slots.MaxSlots(), NumNexusSlots: 1})
	if err != nil {
		return worker.Options{}, fmt.Errorf("making a place for each task: %w", err)
	}
	return worker.Options{Tuner: tuner{WorkerTuner: fixed, slots: e.slots},
		MaxConcurrentWorkflowTaskPollers: tasksAskedFor, MaxConcurrentActivityTaskPollers: 2}, nil
}
