package store

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/store/dbsqlc"
)

// NewEvent is an event about to be appended. Data is marshalled as it is; the
// log gives id, time and position.
type NewEvent struct {
	TenantID      string
	Type          omni.EventType
	Subject       string
	InstanceID    uuid.UUID
	Channel       string
	ChatID        uuid.NullUUID
	PersonID      uuid.NullUUID
	CorrelationID uuid.NullUUID
	CausationID   uuid.NullUUID
	Traceparent   string
	Data          any
}

// appendEvent writes the event in the transaction that changes the state it
// speaks of.
func appendEvent(ctx context.Context, q *dbsqlc.Queries, e NewEvent) error {
	data, err := json.Marshal(e.Data)
	if err != nil {
		return fmt.Errorf("encoding the data of event %s: %w", e.Type, err)
	}
	if err := q.AppendEvent(ctx, dbsqlc.AppendEventParams{
		TenantID: e.TenantID, Type: string(e.Type), Subject: e.Subject, InstanceID: e.InstanceID, Channel: e.Channel,
		ChatID: e.ChatID, PersonID: e.PersonID, CorrelationID: e.CorrelationID, CausationID: e.CausationID,
		Traceparent: e.Traceparent, Data: data,
	}); err != nil {
		return fmt.Errorf("appending event %s: %w", e.Type, err)
	}
	return nil
}

// AppendEvent writes an event that goes with no other change.
func (s *Store) AppendEvent(ctx context.Context, e NewEvent) error {
	return s.inTx(ctx, func(_ pgx.Tx, q *dbsqlc.Queries) error { return appendEvent(ctx, q, e) })
}
