package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	leadRetry   = time.Second            // how often a lock held elsewhere is asked for
	leadProbe   = 2 * time.Second        // how often the leader's session is checked
	leadBackoff = 250 * time.Millisecond // pause after a term that ended with an error, doubled up to leadMaxWait
	leadMaxWait = 4 * time.Second
)

// Lead runs fn while this process is the only one that leads under that name,
// and again whenever it becomes so, until ctx ends; then it returns nil. The
// lead is a Postgres advisory lock on a session of its own: it ends with the
// session, and fn's context with it. A term that ends with an error is reported
// to onError and tried again; one that ends with nil ends Lead.
//
// Two leaders can overlap for a moment when a session dies unnoticed, so what
// fn does must be harmless when done twice.
func (s *Store) Lead(ctx context.Context, name string, onError func(error), fn func(ctx context.Context) error) error {
	backoff := leadBackoff
	for {
		began := time.Now()
		held, err := s.leadOnce(ctx, name, fn)
		if ctx.Err() != nil || err == nil && held {
			return nil //nolint:nilerr // ended as asked
		}
		wait := leadRetry
		if err != nil {
			onError(err)
			if time.Since(began) > leadMaxWait {
				backoff = leadBackoff // it worked for a while
			}
			wait = backoff
			backoff = min(backoff*2, leadMaxWait)
		}
		if !sleep(ctx, wait+rand.N(wait/4)) {
			return nil
		}
	}
}

// leadOnce is one term. held says whether the lock was obtained.
func (s *Store) leadOnce(ctx context.Context, name string, fn func(ctx context.Context) error) (held bool, err error) {
	// Not of the pool: the session is held for as long as the lead.
	conn, err := pgx.ConnectConfig(ctx, s.pool.Config().ConnConfig)
	if err != nil {
		return false, fmt.Errorf("connecting to lead %s: %w", name, err)
	}
	defer func() {
		// Closing the session frees the lock, whatever state it is in.
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), leadProbe)
		defer cancel()
		_ = conn.Close(closing)
	}()
	if err := conn.QueryRow(ctx, "SELECT pg_try_advisory_lock(hashtextextended($1, 0))", leadKey(name)).Scan(&held); err != nil {
		return false, fmt.Errorf("asking to lead %s: %w", name, err)
	}
	if !held {
		return false, nil
	}

	term, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		if err := watchSession(term, conn); err != nil {
			cancel(fmt.Errorf("leading %s: %w", name, err))
		}
	}()
	err = fn(term)
	lost := context.Cause(term)
	cancel(nil)
	<-watched
	if ctx.Err() == nil && lost != nil {
		return true, lost
	}
	return true, err
}

// watchSession returns why the session is gone, or nil when ctx ends.
func watchSession(ctx context.Context, conn *pgx.Conn) error {
	for sleep(ctx, leadProbe) {
		probe, cancel := context.WithTimeout(ctx, 2*leadProbe)
		err := conn.Ping(probe)
		cancel()
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("losing the session: %w", err)
		}
	}
	return nil
}

// HasLeader reports whether any process leads under that name.
func (s *Store) HasLeader(ctx context.Context, name string) (bool, error) {
	var has bool
	err := s.pool.QueryRow(ctx, `
		SELECT EXISTS (SELECT FROM pg_locks
		WHERE locktype = 'advisory' AND granted AND objsubid = 1
		  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
		  AND (classid::bigint << 32 | objid::bigint) = hashtextextended($1, 0))`, leadKey(name)).Scan(&has)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	return has, wrap(err, "asking who leads "+name)
}

func leadKey(name string) string { return "omni/lead/" + name }

// sleep waits, and reports false when ctx ended first.
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
