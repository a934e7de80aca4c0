package control

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/omnihub/omni/internal/omni"
)

// AuditStore keeps what was done with keys.
type AuditStore interface {
	// AppendKeyAudit stores each use once, however often it is tried.
	AppendKeyAudit(ctx context.Context, uses []omni.KeyUse) error
	ForgetKeyAudit(ctx context.Context, days, perKey int) error
}

// KeyAudit writes down what is done with keys: in memory first, behind the
// requests in batches to the store. A process that is killed loses the last
// second of it. Safe for concurrent use.
type KeyAudit struct {
	store AuditStore
	log   *slog.Logger
	full  chan struct{} // a batch is waiting

	writing sync.Mutex // held by whoever writes

	mu      sync.Mutex
	waiting []omni.KeyUse
	dropped int
}

const (
	auditEvery   = time.Second
	auditBatch   = 500
	auditWaiting = 20_000 // uses, while the store is away
	auditTimeout = 5 * time.Second

	// What is kept.
	auditDays   = 90
	auditPerKey = 10_000
)

func newKeyAudit(store AuditStore, log *slog.Logger) *KeyAudit {
	return &KeyAudit{store: store, log: log, full: make(chan struct{}, 1)}
}

// Note remembers a use. It never waits: where the store has been away for long
// a use is lost rather than a request held up, and the log says so.
func (a *KeyAudit) Note(u omni.KeyUse) {
	u.ID = uuid.Must(uuid.NewV7())
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.waiting) >= auditWaiting {
		a.dropped++
		return
	}
	a.waiting = append(a.waiting, u)
	if len(a.waiting) >= auditBatch {
		select {
		case a.full <- struct{}{}:
		default:
		}
	}
}

// Run writes until ctx ends, and then what is left.
func (a *KeyAudit) Run(ctx context.Context) {
	write := context.WithoutCancel(ctx) // what has begun is finished
	tick := time.NewTicker(auditEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			a.flush(write)
			return
		case <-tick.C:
		case <-a.full:
		}
		a.flush(write)
	}
}

func (a *KeyAudit) flush(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, auditTimeout)
	defer cancel()
	if err := a.Flush(ctx); err != nil {
		a.log.WarnContext(ctx, "writing down the use of API keys; it is tried again within a second", "error", err)
	}
}

// Flush writes everything that waits.
func (a *KeyAudit) Flush(ctx context.Context) error {
	a.writing.Lock()
	defer a.writing.Unlock()
	for {
		a.mu.Lock()
		batch := a.waiting[:min(len(a.waiting), auditBatch)]
		dropped := a.dropped
		a.dropped = 0
		a.mu.Unlock()
		if dropped > 0 {
			a.log.ErrorContext(ctx, "uses of API keys were not written down: too many wait for the store", "lost", dropped)
		}
		if len(batch) == 0 {
			return nil
		}
		if err := a.store.AppendKeyAudit(ctx, batch); err != nil {
			return err
		}
		a.mu.Lock()
		// A copy, so that what is written can be freed. Only appended to meanwhile.
		a.waiting = append([]omni.KeyUse(nil), a.waiting[len(batch):]...)
		a.mu.Unlock()
	}
}

// Forget drops what is no longer kept; to be called hourly.
func (a *KeyAudit) Forget(ctx context.Context) error {
	return a.store.ForgetKeyAudit(ctx, auditDays, auditPerKey)
}
