package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/store/dbsqlc"
)

// EventsAfter reads up to limit events behind a position, in log order. An
// empty tenant reads every tenant's. Events of transactions that an older one
// still runs beside are held back until it ends, so whoever goes on from the
// last position it got misses nothing, in whatever order transactions commit.
func (s *Store) EventsAfter(ctx context.Context, tenant string, after omni.Position, limit int) ([]omni.Event, error) {
	rows, err := s.q.EventsAfter(ctx, dbsqlc.EventsAfterParams{
		AfterXid: strconv.FormatUint(after.Xid, 10), AfterSeq: after.Seq, Tenant: tenant, RowLimit: int32(limit),
	})
	if err != nil {
		return nil, wrap(err, "reading the event log")
	}
	events := make([]omni.Event, len(rows))
	for i, r := range rows {
		pos, err := position(r.PositionXid, r.PositionSeq)
		if err != nil {
			return nil, err
		}
		events[i] = omni.Event{
			ID: r.ID, TenantID: r.TenantID, Type: omni.EventType(r.Type), Time: r.Time, Subject: r.Subject,
			InstanceID: r.InstanceID, Channel: r.Channel, ChatID: r.ChatID, PersonID: r.PersonID,
			CorrelationID: r.CorrelationID, CausationID: r.CausationID, Traceparent: r.Traceparent,
			DataVersion: int(r.Dataversion), Data: r.Data, Position: pos,
		}
	}
	return events, nil
}

// LogHead is the position of the newest event that readers may see, of all
// tenants; zero where the log is empty.
func (s *Store) LogHead(ctx context.Context) (omni.Position, error) {
	row, err := s.q.LogHead(ctx)
	if errors.Is(err, pgx.ErrNoRows) {
		return omni.Position{}, nil
	}
	if err != nil {
		return omni.Position{}, wrap(err, "reading the head of the event log")
	}
	return position(row.PositionXid, row.PositionSeq)
}

// RelayCursor is how far a relay of that name has published; zero at first.
func (s *Store) RelayCursor(ctx context.Context, name string) (omni.Position, error) {
	row, err := s.q.ReadRelayCursor(ctx, name)
	if errors.Is(err, pgx.ErrNoRows) {
		return omni.Position{}, nil
	}
	if err != nil {
		return omni.Position{}, wrap(err, "reading the relay's cursor")
	}
	return position(row.Xid, row.Seq)
}

// AdvanceRelayCursor moves the cursor on; it never moves back.
func (s *Store) AdvanceRelayCursor(ctx context.Context, name string, to omni.Position) error {
	err := s.q.MoveRelayCursor(ctx, dbsqlc.MoveRelayCursorParams{
		Name: name, Xid: strconv.FormatUint(to.Xid, 10), Seq: to.Seq,
	})
	return wrap(err, "advancing the relay's cursor")
}

func position(xid string, seq int64) (omni.Position, error) {
	x, err := strconv.ParseUint(xid, 10, 64)
	if err != nil {
		return omni.Position{}, fmt.Errorf("reading transaction id %q: %w", xid, err)
	}
	return omni.Position{Xid: x, Seq: seq}, nil
}
