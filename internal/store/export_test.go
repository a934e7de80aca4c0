package store

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/omnihub/omni/internal/omni"
)

// RecordIn records an event in a transaction of the test's own, as Record does
// in one of its.
func RecordIn(ctx context.Context, tx pgx.Tx, e omni.Envelope) error {
	var b pgx.Batch
	if _, err := queueRecords(&b, []*omni.Envelope{&e}); err != nil {
		return err
	}
	return tx.SendBatch(ctx, &b).Close()
}
