package store_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/internal/store"
	"github.com/omnihub/omni/internal/testkit"
)

func TestOneLeadsAtATimeAndTheNextTakesOver(t *testing.T) {
	t.Parallel()
	url := testkit.Postgres(t)
	var leading atomic.Int32
	terms := make(chan int, 8)
	ends := make([]context.CancelFunc, 2)
	gone := make([]chan struct{}, 2)
	for i := range ends {
		s, err := store.Open(t.Context(), url, 2)
		require.NoError(t, err)
		t.Cleanup(s.Close)
		ctx, cancel := context.WithCancel(t.Context())
		ends[i], gone[i] = cancel, make(chan struct{})
		go func() {
			defer close(gone[i])
			_ = s.Lead(ctx, "x", func(err error) { t.Error(err) }, func(ctx context.Context) error {
				if leading.Add(1) != 1 {
					t.Error("two lead at once")
				}
				terms <- i
				<-ctx.Done()
				leading.Add(-1)
				return nil
			})
		}()
	}
	s, err := store.Open(t.Context(), url, 2)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	first := <-terms
	has, err := s.HasLeader(t.Context(), "x")
	require.NoError(t, err)
	require.True(t, has)
	ends[first]()
	<-gone[first]
	require.Equal(t, 1-first, <-terms)
	ends[1-first]()
	<-gone[1-first]
	require.Eventually(t, func() bool {
		has, err := s.HasLeader(t.Context(), "x")
		return err == nil && !has
	}, 10*time.Second, 20*time.Millisecond)
}

func TestATermEndsWithItsSession(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	terms, reports := make(chan struct{}, 8), make(chan error, 8)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Lead(ctx, "y", func(err error) { reports <- err }, func(ctx context.Context) error {
			terms <- struct{}{}
			<-ctx.Done()
			return nil
		})
	}()
	<-terms
	_, err := s.Pool().Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'
		AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`)
	require.NoError(t, err)
	require.ErrorContains(t, <-reports, "losing the session")
	<-terms
	cancel()
	<-done
}

func TestLeadTriesAgainAfterAnErrorAndEndsWithSuccess(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	broken := errors.New("broken")
	var reported error
	tries := 0
	require.NoError(t, s.Lead(t.Context(), "z", func(err error) { reported = err }, func(context.Context) error {
		if tries++; tries == 1 {
			return broken
		}
		return nil
	}))
	require.Equal(t, 2, tries)
	require.ErrorIs(t, reported, broken)
}
