package gateway

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/internal/omni"
)

const (
	stateTimeout   = 3 * time.Second
	maxReasonBytes = 500
)

// stateWriter brings a host's last reported state to the store, off the
// session's path: State must not block. States that came and went meanwhile
// are not written.
type stateWriter struct {
	id    uuid.UUID
	store Store
	log   *slog.Logger
	wake  chan struct{}

	mu      sync.Mutex
	pending *channels.State
}

func newStateWriter(id uuid.UUID, store Store, log *slog.Logger) *stateWriter {
	return &stateWriter{id: id, store: store, log: log, wake: make(chan struct{}, 1)}
}

func (w *stateWriter) report(s channels.State) {
	s.Reason = strings.ToValidUTF8(strings.ReplaceAll(s.Reason, "\x00", ""), "")
	if len(s.Reason) > maxReasonBytes {
		s.Reason = strings.ToValidUTF8(s.Reason[:maxReasonBytes], "")
	}
	w.mu.Lock()
	w.pending = &s
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *stateWriter) take() *channels.State {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.pending
	w.pending = nil
	return s
}

// writing is a running stateWriter.
type writing struct {
	cancel context.CancelFunc
	done   chan struct{}
}

// stop writes what is pending, once, and ends.
func (w writing) stop() {
	w.cancel()
	<-w.done
}

// start writes while the lease stands: afterwards the state is another's to say.
func (w *stateWriter) start(ctx context.Context, l *lease) writing {
	// Not ended by the term itself: its last state is reported after it.
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-run.Done():
				w.write(context.WithoutCancel(run), l)
				return
			case <-w.wake:
			}
			for !w.write(run, l) && sleep(run, time.Second) {
			}
		}
	}()
	return writing{cancel: cancel, done: done}
}

// write brings the pending state to the store; false: it must be tried again.
func (w *stateWriter) write(ctx context.Context, l *lease) bool {
	s := w.take()
	if s == nil || !l.valid() {
		return true
	}
	bounded, cancel := context.WithTimeout(ctx, stateTimeout)
	defer cancel()
	err := w.store.SetInstanceState(bounded, w.id, s.Status, s.Reason)
	if err == nil || errors.Is(err, omni.ErrNotFound) { // deleted meanwhile
		return true
	}
	if ctx.Err() == nil { // else it is written once more, by whoever ended ctx
		w.log.WarnContext(ctx, "instance state not written", "status", s.Status, "error", err)
	}
	w.mu.Lock()
	if w.pending == nil { // nothing newer
		w.pending = s
	}
	w.mu.Unlock()
	return false
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
