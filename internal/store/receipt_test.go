package store_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
)

// Platforms tell of receipts late, twice and in any order: a message goes on,
// never back, and what never left is not delivered.
func TestReceiptsNeverGoBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.receive("c1", "ana", "m1", "hello")
	v := w.join(e, 0)
	w.answer(e, v, "hello yourself", "and again")
	c := w.claim(e, v, "me/1/1")
	receipt := func(kind message.Kind, target string) {
		t.Helper()
		r := w.inbound("c1", "ana", string(kind), "")
		r.Event.Kind, r.Event.TargetID = kind, target
		r.MessageID = omni.MessageID(w.instance, r.ExternalKey())
		w.record(r)
	}
	external := "x-" + c.MessageID.String()
	receipt(message.KindDelivered, external)
	require.Equal(t, "sending", w.status(c.MessageID), "nobody knows that id yet")
	w.receipt(e, v, c, "sent")
	receipt(message.KindRead, external)
	require.Equal(t, "read", w.status(c.MessageID))
	receipt(message.KindDelivered, external)
	receipt(message.KindRead, external)
	require.Equal(t, "read", w.status(c.MessageID))
	rows, err := w.Pool().Query(t.Context(), `SELECT type FROM events WHERE subject = $1 ORDER BY xid, seq`, c.MessageID.String())
	require.NoError(t, err)
	told, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Equal(t, []string{"message.sending", "message.sent", "message.read"}, told)

	failed := w.claim(e, v, "me/1/1")
	w.receipt(e, v, failed, "failed")
	receipt(message.KindDelivered, "x-"+failed.MessageID.String())
	require.Equal(t, "failed", w.status(failed.MessageID))
}

// A delete may come before its target: the target is then not answered.
func TestDeleteBeforeItsTarget(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.inbound("c1", "ana", "m1", "never mind")
	w.amend("c1", "m1", "")
	w.record(e)
	require.Equal(t, "ignored", w.status(e.MessageID))
	require.Equal(t, "ignored", w.join(e, 0).State)
}
