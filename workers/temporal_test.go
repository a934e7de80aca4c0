package workers

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

// A worker that Temporal refused makes its role not ready.
func TestAWorkerThatEndedIsNotReady(t *testing.T) {
	t.Parallel()
	role := pipelineRole{worker: &temporalWorker{}}
	require.NoError(t, role.Health(t.Context()))
	gone := errors.New("namespace not found")
	role.worker.failed(gone)
	require.ErrorIs(t, role.Health(t.Context()), gone)
}
