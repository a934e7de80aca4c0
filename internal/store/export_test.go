package store

import (
	"context"
	"time"

	"github.com/google/uuid"
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

// PeopleStatement is the statement of one step of a search, or of a timeline.
func (s *Store) PeopleStatement(ctx context.Context, name, typed string) (sql string, args []any) {
	q, err := s.searchQuery(ctx, typed)
	if err != nil {
		panic(err)
	}
	after := &omni.RankedKey{Key: omni.Key{At: time.Now(), ID: uuid.New()}}
	look := personSearch{Store: s, tenant: omni.DefaultTenant, query: q, limit: 50}
	switch name {
	case "ranked":
		return look.rankedQuery(nil)
	case "exact":
		return look.exactQuery(after)
	case "scan":
		return look.scanQuery(after, scanFirst)
	default:
		return timelineQuery(omni.DefaultTenant, uuid.New(), omni.TimelineFilter{}, omni.Page{Limit: 51, After: &after.Key})
	}
}
