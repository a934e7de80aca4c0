package store

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/omnihub/omni/internal/store/dbsqlc"
)

// StreamChannel is the stream whose floor is kept.
const StreamChannel = "CHANNEL"

// Floor is the stream sequence up to which every inbound event is recorded (or
// dead-lettered); 0 where nothing is yet.
func (s *Store) Floor(ctx context.Context) (uint64, error) {
	floor, err := s.q.Floor(ctx, StreamChannel)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	return uint64(floor), wrap(err, "reading the recorder's floor") //nolint:gosec // written from a stream sequence, never negative
}

// Poison is an inbound event that cannot be recorded.
type Poison struct {
	ID         uuid.UUID // the same for the same event, so that it is kept once
	TenantID   string
	InstanceID uuid.NullUUID
	ChatID     uuid.NullUUID
	MessageID  uuid.NullUUID
	Error      string
	Attempts   int
	Input      json.RawMessage // everything that is needed to try again
}

// poisonStep is the step that a dead letter of the recorder failed at.
const poisonStep = "ingest.Record"

// RecordPoison keeps the event as a dead letter of step ingest.Record and
// moves the floor (0: not) over it, in one transaction.
func (s *Store) RecordPoison(ctx context.Context, p Poison, floor uint64) error {
	err := s.inTx(ctx, func(_ pgx.Tx, q *dbsqlc.Queries) error {
		if err := q.InsertPoison(ctx, dbsqlc.InsertPoisonParams{
			ID: p.ID, TenantID: p.TenantID, InstanceID: p.InstanceID, ChatID: p.ChatID, MessageID: p.MessageID,
			Step: poisonStep, Error: p.Error, Attempts: int32(p.Attempts), Input: p.Input, //nolint:gosec // a small count
		}); err != nil {
			return err
		}
		if floor == 0 {
			return nil
		}
		return q.RaiseFloor(ctx, dbsqlc.RaiseFloorParams{Stream: StreamChannel, Floor: int64(floor)}) //nolint:gosec // far from 2^63
	})
	return wrap(err, "keeping a dead letter of the recorder")
}

// RaiseFloor says that everything up to the sequence is recorded, where that
// is known without anything left to record.
func (s *Store) RaiseFloor(ctx context.Context, floor uint64) error {
	err := s.q.RaiseFloor(ctx, dbsqlc.RaiseFloorParams{Stream: StreamChannel, Floor: int64(floor)}) //nolint:gosec // far from 2^63
	return wrap(err, "raising the recorder's floor")
}

// RecordedPlaces says from which place in the stream each of these events was
// recorded; ids that were not are absent. Edits and deletes keep no place:
// they appear, with place 0, once they are older than the given time.
func (s *Store) RecordedPlaces(ctx context.Context, ids []uuid.UUID, olderThan time.Duration) (map[uuid.UUID]uint64, error) {
	rows, err := s.q.RecordedPlaces(ctx, dbsqlc.RecordedPlacesParams{Ids: ids, OlderThanSeconds: olderThan.Seconds()})
	if err != nil {
		return nil, wrap(err, "looking up recorded events")
	}
	places := make(map[uuid.UUID]uint64, len(rows))
	for _, r := range rows {
		places[r.ID] = uint64(r.Seq) //nolint:gosec // written from a stream sequence, never negative
	}
	return places, nil
}
