package gateway

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"
)

var (
	errHeld = errors.New("another gateway holds the lease")
	errLost = errors.New("the lease is lost")
)

// heldError is errHeld with what was seen: a lease that is the same the next
// time is not being renewed.
type heldError struct{ revision uint64 }

func (e *heldError) Error() string { return errHeld.Error() }
func (e *heldError) Unwrap() error { return errHeld }

// lease is the right to run one instance's session. The bucket forgets it
// bus.LeaseTTL after the last renewal; its holder stops well before that,
// counted from the start of the renewal, on its own clock.
type lease struct {
	kv     jetstream.KeyValue
	key    string
	value  []byte
	timing Timing
	token  uint64 // revision at which it was taken: grows with every holder

	standing context.Context // ends when the lease is lost
	lose     context.CancelFunc

	mu       sync.Mutex
	revision uint64
	until    time.Time
	silent   time.Time // when everything under way must have ended
}

// leaseValue is what the bucket holds. The nonce tells one taking from another.
type leaseValue struct {
	Owner string `json:"owner"`
	Nonce string `json:"nonce"`
}

// takeLease obtains the lease, or errHeld. One that this owner left behind is
// taken back at once.
func takeLease(ctx context.Context, kv jetstream.KeyValue, owner string, instanceID uuid.UUID, t Timing) (*lease, error) {
	value, err := json.Marshal(leaseValue{Owner: owner, Nonce: rand.Text()})
	if err != nil {
		return nil, fmt.Errorf("taking the lease of %s: %w", instanceID, err)
	}
	l := &lease{kv: kv, key: instanceID.String(), value: value, timing: t}
	rev, began, err := l.take(ctx, owner)
	if err != nil {
		return nil, fmt.Errorf("taking the lease of %s: %w", instanceID, err)
	}
	// It is held on its own: whatever the caller's context does, requests under
	// way have their time while the lease stands.
	l.standing, l.lose = context.WithCancel(context.WithoutCancel(ctx))
	l.token = rev
	l.renewed(rev, began)
	return l, nil
}

// take looks before it writes: whoever waits for a lease does so often.
func (l *lease) take(ctx context.Context, owner string) (rev uint64, began time.Time, err error) {
	entry, err := l.kv.Get(ctx, l.key)
	began = time.Now()
	switch {
	case errors.Is(err, jetstream.ErrKeyNotFound):
		rev, err = l.kv.Create(ctx, l.key, l.value)
		if errors.Is(err, jetstream.ErrKeyExists) {
			err = errHeld // another was quicker
		}
		return rev, began, err
	case err != nil:
		return 0, began, err
	}
	var have leaseValue
	if err := json.Unmarshal(entry.Value(), &have); err != nil || have.Owner != owner {
		return 0, began, &heldError{revision: entry.Revision()}
	}
	rev, err = l.kv.Update(ctx, l.key, l.value, entry.Revision())
	if errors.Is(err, jetstream.ErrKeyRevisionMismatch) {
		err = errHeld
	}
	return rev, began, err
}

// valid reports whether this gateway may still act for the instance.
func (l *lease) valid() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Now().Before(l.until)
}

// keep renews until ctx ends (nil), or the lease is lost (errLost).
func (l *lease) keep(ctx context.Context) error {
	wait := l.timing.Renew
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		switch err := l.renew(ctx); {
		case err == nil:
			wait = l.timing.Renew
		case errors.Is(err, errLost), !l.valid():
			l.end()
			l.lose()
			return fmt.Errorf("%w: %w", errLost, err)
		default:
			wait = l.timing.Renew / 5
		}
		// Never wait past the moment at which serving must have stopped.
		l.mu.Lock()
		wait = min(wait, max(time.Until(l.until), 0))
		l.mu.Unlock()
	}
}

func (l *lease) renew(ctx context.Context) error {
	if !l.valid() {
		return errLost
	}
	l.mu.Lock()
	revision, left := l.revision, time.Until(l.until)
	l.mu.Unlock()
	began := time.Now()
	bounded, cancel := context.WithTimeout(ctx, min(left, l.timing.Renew))
	defer cancel()
	rev, err := l.kv.Update(bounded, l.key, l.value, revision)
	if errors.Is(err, jetstream.ErrKeyRevisionMismatch) {
		// Taken by another, unless an earlier renewal arrived whose answer did not.
		rev, err = l.renewedAlready(bounded)
	}
	if err != nil {
		return err
	}
	l.renewed(rev, began)
	return nil
}

// renewed counts from when the renewal began: the bucket counts from later.
func (l *lease) renewed(revision uint64, began time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.revision, l.until = revision, began.Add(l.timing.StopAfter)
	l.silent = l.until.Add(l.timing.LostGrace)
}

// grace is what is left for requests under way once the lease is lost: less
// than none where the process stalled for longer.
func (l *lease) grace() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Until(l.silent)
}

func (l *lease) renewedAlready(ctx context.Context) (uint64, error) {
	entry, err := l.kv.Get(ctx, l.key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return 0, errLost
	}
	if err != nil {
		return 0, err
	}
	if !bytes.Equal(entry.Value(), l.value) {
		return 0, errLost
	}
	return l.kv.Update(ctx, l.key, l.value, entry.Revision())
}

// end makes the lease invalid now.
func (l *lease) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.until = time.Time{}
}

// release gives the lease back so that another may take it at once.
func (l *lease) release(ctx context.Context) error {
	l.mu.Lock()
	revision := l.revision
	l.mu.Unlock()
	l.end()
	err := l.kv.Delete(ctx, l.key, jetstream.LastRevision(revision))
	if errors.Is(err, jetstream.ErrKeyRevisionMismatch) {
		// Another's, unless a renewal arrived whose answer nobody waited for.
		if revision, err = l.renewedAlready(ctx); err == nil {
			err = l.kv.Delete(ctx, l.key, jetstream.LastRevision(revision))
		}
	}
	if err != nil {
		return fmt.Errorf("releasing the lease of %s: %w", l.key, err)
	}
	return nil
}
