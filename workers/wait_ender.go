package workers

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/omnihub/omni/activities"
)

// waitEnderWithin bounds what is done for one cancelled turn.
const waitEnderWithin = 10 * time.Second

// waitEnder wakes the workflow of a turn that was cancelled while it waited for
// an agent's later answer: no call is under way that would notice. One that is
// missed looks by itself, later.
type waitEnder struct {
	cancels interface {
		OnAnyCancel(group string, fn func(turnID uuid.UUID)) (stop func(), err error)
	}
	store interface {
		AwaitingWorkflow(ctx context.Context, turn uuid.UUID) (string, error)
	}
	engine interface {
		Signal(ctx context.Context, workflowID, signal string) error
	}
	log *slog.Logger

	stop   func()
	cancel context.CancelFunc
	busy   sync.WaitGroup
}

// Start implements lifecycle.Service.
func (w *waitEnder) Start(context.Context) error {
	ctx, cancel := context.WithCancel(context.Background())
	w.cancel = cancel
	var err error
	w.stop, err = w.cancels.OnAnyCancel("wait-ender", func(turn uuid.UUID) {
		w.busy.Go(func() { w.wake(ctx, turn) })
	})
	return err
}

// Stop implements lifecycle.Service.
func (w *waitEnder) Stop(context.Context) error {
	if w.stop != nil {
		w.stop()
	}
	if w.cancel != nil {
		w.cancel()
	}
	w.busy.Wait()
	return nil
}

func (w *waitEnder) wake(ctx context.Context, turn uuid.UUID) {
	ctx, cancel := context.WithTimeout(ctx, waitEnderWithin)
	defer cancel()
	workflow, err := w.store.AwaitingWorkflow(ctx, turn)
	if err == nil && workflow != "" {
		err = w.engine.Signal(ctx, workflow, activities.SignalWake)
	}
	if err != nil && ctx.Err() == nil {
		w.log.WarnContext(ctx, "waking a cancelled turn that waits for its agent", "turn_id", turn, "error", err)
	}
}
