package store

import (
	"bytes"
	"context"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// togetherAtMost bounds how long a chat's lock is held for the others of
	// its transaction.
	togetherAtMost = 16
	// togetherLocks is how long a transaction of several waits for the lock of
	// a chat before each of them goes alone: nobody waits for another's chat.
	togetherLocks = "50ms"
	// roomFor is after what time a transaction that still runs no longer keeps
	// the next from beginning.
	roomFor = 50 * time.Millisecond
)

// together runs the calls that come while others run as one transaction: under
// load most of what a short call costs is the transaction around it. A call
// that comes alone runs at once. There is no goroutine of its own: whoever
// waits longest runs what has gathered.
type together struct {
	pool    *pgxpool.Pool
	runners int // transactions at once

	mu      sync.Mutex
	running int
	waiting []*call
}

// call is a statement that locks one chat, and gives one row.
type call struct {
	chat  uuid.UUID
	query string
	args  []any
	scan  func(pgx.Row) error // may run more than once

	turn chan part // what the caller does next
	err  error     // where it is done
}

// part is what falls to a caller that waits.
type part int

const (
	partDone  part = iota // its call has run
	partAlone             // it runs its call by itself
	partRun               // it runs what waits, its own call first
)

func newTogether(pool *pgxpool.Pool) *together {
	return &together{pool: pool, runners: max(1, runtime.GOMAXPROCS(0)/2)}
}

// queryRow is pool.QueryRow(…) and scan, for a statement that locks the chat.
func (t *together) queryRow(ctx context.Context, chat uuid.UUID, scan func(pgx.Row) error, query string, args ...any) error {
	c := &call{chat: chat, query: query, args: args, scan: scan, turn: make(chan part, 1)}
	if t.enter(c) {
		return t.run(ctx, c)
	}
	select {
	case what := <-c.turn:
		return t.play(ctx, c, what)
	case <-ctx.Done():
		if !t.leave(c) && <-c.turn == partRun { // it was chosen meanwhile
			t.next()
		}
		return ctx.Err()
	}
}

func (t *together) play(ctx context.Context, c *call, what part) error {
	switch what {
	case partAlone:
		return t.alone(ctx, c)
	case partRun:
		return t.run(ctx, c)
	default:
		return c.err
	}
}

func (t *together) alone(ctx context.Context, c *call) error {
	return c.scan(t.pool.QueryRow(ctx, c.query, c.args...))
}

// enter reports whether the caller runs its call, because there is room.
func (t *together) enter(c *call) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.running < t.runners {
		t.running++
		return true
	}
	t.waiting = append(t.waiting, c)
	return false
}

// leave takes a call back. It reports false where somebody runs it already.
func (t *together) leave(c *call) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := slices.Index(t.waiting, c)
	if i >= 0 {
		t.waiting = slices.Delete(t.waiting, i, i+1)
	}
	return i >= 0
}

// next leaves the room to whoever waits longest.
func (t *together) next() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.waiting) == 0 {
		t.running--
		return
	}
	t.waiting[0].turn <- partRun
	t.waiting = slices.Delete(t.waiting, 0, 1)
}

// run runs a call with those that wait.
func (t *together) run(ctx context.Context, mine *call) error {
	leave := sync.OnceFunc(t.next)
	defer leave()
	defer time.AfterFunc(roomFor, leave).Stop()
	t.mu.Lock()
	n := min(len(t.waiting), togetherAtMost-1)
	others := slices.Clone(t.waiting[:n])
	t.waiting = slices.Delete(t.waiting, 0, n)
	t.mu.Unlock()
	if n == 0 {
		return t.alone(ctx, mine)
	}
	what := partDone
	// The others must not fail because this caller goes away.
	if t.transact(context.WithoutCancel(ctx), append(others, mine)) != nil {
		what = partAlone
	}
	for _, c := range others {
		c.turn <- what
	}
	return t.play(ctx, mine, what)
}

// transact runs calls in one transaction and one round trip, chats in the
// order in which everybody locks them.
func (t *together) transact(ctx context.Context, calls []*call) error {
	calls = slices.Clone(calls)
	slices.SortStableFunc(calls, func(a, b *call) int { return bytes.Compare(a.chat[:], b.chat[:]) })
	var b pgx.Batch
	b.Queue(`SELECT set_config('lock_timeout', $1, true)`, togetherLocks)
	for _, c := range calls {
		b.Queue(c.query, c.args...)
	}
	results := t.pool.SendBatch(ctx, &b)
	_, err := results.Exec()
	for _, c := range calls {
		if err != nil {
			break
		}
		err = c.scan(results.QueryRow())
	}
	if closing := results.Close(); err == nil {
		err = closing
	}
	return err
}
