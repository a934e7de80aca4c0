package lifecycle_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/internal/lifecycle"
)

func TestLoopRunsUntilItIsStopped(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{})
	l := lifecycle.NewLoop("worker", func(ctx context.Context) { <-ctx.Done(); close(ended) })
	require.NoError(t, l.Stop(t.Context()), "it never started")
	ctx, cancel := context.WithCancel(t.Context())
	require.NoError(t, l.Start(ctx))
	cancel() // bounds the start only
	require.NoError(t, l.Health(t.Context()))
	l.SetTrouble(errors.New("no disk"))
	require.EqualError(t, l.Health(t.Context()), "worker: no disk")
	l.SetTrouble(nil)
	require.NoError(t, l.Health(t.Context()))
	select {
	case <-ended:
		t.Fatal("it ended by itself")
	default:
	}
	require.NoError(t, l.Stop(t.Context()))
	<-ended
	require.NoError(t, l.Stop(t.Context()), "a second time")
}

func TestStopGivesUpWithItsContext(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	l := lifecycle.NewLoop("worker", func(context.Context) { <-release })
	require.NoError(t, l.Start(t.Context()))
	over, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorContains(t, l.Stop(over), "waiting for the worker to end")
	close(release)
	require.NoError(t, l.Stop(t.Context()))
}

// elector gives the lead when it is told to.
type elector struct {
	terms chan error // each a term that ends with that
	other bool       // somebody else leads
}

func (e *elector) Lead(ctx context.Context, _ string, onError func(error), fn func(context.Context) error) error {
	for {
		select {
		case err := <-e.terms:
			if err = errors.Join(fn(ctx), err); err != nil {
				onError(err)
			}
		case <-ctx.Done():
			return nil
		}
	}
}

func (e *elector) HasLeader(context.Context, string) (bool, error) { return e.other, nil }

func TestLeaderIsWellWhileSomebodyLeads(t *testing.T) {
	t.Parallel()
	e := &elector{terms: make(chan error)}
	began, end := make(chan struct{}), make(chan struct{})
	var l *lifecycle.Leader
	l = lifecycle.NewLeader("scribe", e, slog.New(slog.DiscardHandler), func(context.Context) error {
		defer l.Lead()()
		began <- struct{}{}
		<-end
		return nil
	})
	require.NoError(t, l.Start(t.Context()))
	require.EqualError(t, l.Health(t.Context()), "no scribe is active")
	e.terms <- errors.New("session lost")
	<-began
	require.NoError(t, l.Health(t.Context()), "it leads")
	end <- struct{}{}
	require.Eventually(t, func() bool {
		err := l.Health(t.Context())
		return err != nil && err.Error() == "scribe: session lost"
	}, 20*time.Second, time.Millisecond)
	e.terms <- nil
	<-began
	require.NoError(t, l.Health(t.Context()), "the next term works")
	end <- struct{}{}
	require.NoError(t, l.Stop(t.Context()))
	require.EqualError(t, l.Health(t.Context()), "no scribe is active")
	e.other = true
	require.NoError(t, l.Health(t.Context()), "another process leads")
}
