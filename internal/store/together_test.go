package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/internal/testkit"
)

// shared is a table whose rows stand for chats, and calls that lock them.
type shared struct {
	*together

	pool *pgxpool.Pool
}

func newShared(t *testing.T) shared {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), testkit.Postgres(t))
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	_, err = pool.Exec(t.Context(), `CREATE TABLE kept (chat uuid PRIMARY KEY, n int NOT NULL CHECK (n < 100), xid xid8 NOT NULL DEFAULT pg_current_xact_id())`)
	require.NoError(t, err)
	together := newTogether(pool)
	together.runners = 1
	return shared{together, pool}
}

// add adds to a chat's number, and returns the transaction that did.
func (s shared) add(ctx context.Context, chat uuid.UUID, n int) (xid string, err error) {
	err = s.queryRow(ctx, chat, func(row pgx.Row) error { return row.Scan(&xid) },
		`INSERT INTO kept (chat, n) VALUES ($1, $2) ON CONFLICT (chat) DO UPDATE SET n = kept.n + excluded.n, xid = pg_current_xact_id()
		 RETURNING xid::text`, chat, n)
	return xid, err
}

// lock holds a chat until release.
func (s shared) lock(t *testing.T, chat uuid.UUID) (release func()) {
	t.Helper()
	tx, err := s.pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `SELECT FROM kept WHERE chat = $1 FOR UPDATE`, chat)
	require.NoError(t, err)
	return func() { require.NoError(t, tx.Rollback(context.WithoutCancel(t.Context()))) }
}

func (s shared) numbers(t *testing.T) (n int) {
	t.Helper()
	require.NoError(t, s.pool.QueryRow(t.Context(), `SELECT coalesce(sum(n), 0) FROM kept`).Scan(&n))
	return n
}

// gathered waits until so many calls wait for the one that runs.
func (s shared) gathered(t *testing.T, n int) {
	t.Helper()
	require.Eventually(t, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.waiting) == n
	}, 10*time.Second, time.Millisecond)
}

// occupy makes the only runner busy until release, however long that is.
func (s shared) occupy() (release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running++
	return s.next
}

func TestCallsThatGatherAreOneTransaction(t *testing.T) {
	t.Parallel()
	s := newShared(t)
	release := s.occupy()
	const calls = togetherAtMost
	xids := make([]string, calls)
	var wg sync.WaitGroup
	for i := range calls {
		wg.Go(func() {
			var err error
			xids[i], err = s.add(t.Context(), uuid.New(), 1)
			if err != nil {
				t.Error(err)
			}
		})
	}
	s.gathered(t, calls)
	release()
	wg.Wait()
	for _, xid := range xids {
		require.Equal(t, xids[0], xid)
	}
	require.Equal(t, calls, s.numbers(t))
	require.Zero(t, s.running)
}

// One that fails undoes them all: each then goes alone, and only that one fails.
func TestOneCallThatFailsFailsAlone(t *testing.T) {
	t.Parallel()
	s := newShared(t)
	release := s.occupy()
	errs := make([]error, 8)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			n := 1
			if i == 3 {
				n = 1000
			}
			_, errs[i] = s.add(t.Context(), uuid.New(), n)
		})
	}
	s.gathered(t, len(errs))
	release()
	wg.Wait()
	for i, err := range errs {
		if i != 3 {
			require.NoError(t, err)
			continue
		}
		var pgErr *pgconn.PgError
		require.ErrorAs(t, err, &pgErr)
		require.Equal(t, "23514", pgErr.Code)
	}
	require.Equal(t, len(errs)-1, s.numbers(t))
}

// A chat that somebody holds delays its own call and no other.
func TestALockedChatDelaysNoOther(t *testing.T) {
	t.Parallel()
	s := newShared(t)
	held := uuid.New()
	_, err := s.add(t.Context(), held, 1)
	require.NoError(t, err)
	unlock := s.lock(t, held)
	// One alone, which then is in the runner's way, and one among others.
	waits := make(chan error, 2)
	go func() { _, err := s.add(t.Context(), held, 1); waits <- err }()
	go func() { _, err := s.add(t.Context(), held, 1); waits <- err }()
	var wg sync.WaitGroup
	for range 40 {
		wg.Go(func() {
			if _, err := s.add(t.Context(), uuid.New(), 1); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	require.Empty(t, waits, "the others did not wait for the lock")
	unlock()
	require.NoError(t, <-waits)
	require.NoError(t, <-waits)
	require.Equal(t, 43, s.numbers(t))
}

// Two transactions of several that want the same chats do not wait for each other forever.
func TestGatheredCallsTakeLocksInOneOrder(t *testing.T) {
	t.Parallel()
	s := newShared(t)
	s.runners = 4
	chats := make([]uuid.UUID, 6)
	for i := range chats {
		chats[i] = uuid.New()
	}
	var wg sync.WaitGroup
	for i := range 400 {
		wg.Go(func() {
			if _, err := s.add(t.Context(), chats[(i*7)%len(chats)], 0); err != nil {
				t.Error(fmt.Errorf("call %d: %w", i, err))
			}
		})
	}
	wg.Wait()
	require.Zero(t, s.running)
	require.Empty(t, s.waiting)
}

// Whoever goes away is left out, and leaves its turn to the next.
func TestACallerThatGoesAway(t *testing.T) {
	t.Parallel()
	s := newShared(t)
	release := s.occupy()
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() { _, err := s.add(ctx, uuid.New(), 1); gone <- err }()
	s.gathered(t, 1)
	stays := make(chan error, 1)
	go func() { _, err := s.add(t.Context(), uuid.New(), 1); stays <- err }()
	s.gathered(t, 2)
	cancel()
	require.ErrorIs(t, <-gone, context.Canceled)
	release()
	require.NoError(t, <-stays)
	require.Equal(t, 1, s.numbers(t))
	require.Zero(t, s.running)
}

// Callers that go away at the moment they are chosen lose nobody's turn.
func TestCallersThatGoAwayAtAnyMoment(t *testing.T) {
	t.Parallel()
	s := newShared(t)
	var wg sync.WaitGroup
	for i := range 300 {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i%30)*time.Millisecond)
			defer cancel()
			if _, err := s.add(ctx, uuid.New(), 1); err != nil && !errors.Is(err, context.DeadlineExceeded) && !pgconn.Timeout(err) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	_, err := s.add(t.Context(), uuid.New(), 1)
	require.NoError(t, err)
	require.Zero(t, s.running)
}
