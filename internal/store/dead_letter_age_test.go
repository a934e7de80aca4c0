package store_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// What somebody retries they want said, however long ago it failed: its age
// counts from the retry.
func TestARetryIsNotTooOld(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.instanceRow()
	e := w.receive("c1", "ana", "m1", "hello")
	v := w.join(e, 0)
	w.answer(e, v, "one")
	letter := w.deliveryDies(e, v, 0)
	_, err := w.Pool().Exec(t.Context(), `UPDATE turns SET closed_at = closed_at - interval '2 days'`)
	require.NoError(t, err)
	h := w.reopened(e, letter.ID)
	require.Equal(t, "closed", h.close().State)
	texts, finished := h.deliver(1)
	require.Equal(t, []string{"one"}, texts)
	require.True(t, finished)
}
