package store

import (
	"context"

	"github.com/google/uuid"

	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/store/dbsqlc"
)

// TurnTrace reads who leads a turn and which workflow holds it. ErrNotFound if
// there is no such turn.
func (s *Store) TurnTrace(ctx context.Context, tenant string, turn uuid.UUID) (*omni.TurnTrace, error) {
	row, err := s.q.GetTurn(ctx, dbsqlc.GetTurnParams{ID: turn, TenantID: tenant})
	if err != nil {
		return nil, wrap(err, "reading turn "+turn.String())
	}
	return &omni.TurnTrace{ID: row.ID, LeaderID: row.Leader, WorkflowID: row.WorkflowID, State: row.State, Epoch: int(row.Epoch),
		CreatedAt: row.CreatedAt}, nil
}

// RelatedTurns reads the turns whose messages a turn took over, and those that
// followed it up.
func (s *Store) RelatedTurns(ctx context.Context, turn uuid.UUID) ([]omni.TurnTrace, error) {
	rows, err := s.q.RelatedTurns(ctx, turn)
	if err != nil {
		return nil, wrap(err, "reading what belongs to turn "+turn.String())
	}
	out := make([]omni.TurnTrace, len(rows))
	for i, r := range rows {
		out[i] = omni.TurnTrace{ID: r.ID, LeaderID: r.Leader, WorkflowID: r.WorkflowID, State: r.State, Epoch: int(r.Epoch)}
	}
	return out, nil
}

// OutboundRuns lists, the oldest first, why a message sent by API went on after
// its first workflow: what names the others. first is its first part.
func (s *Store) OutboundRuns(ctx context.Context, first uuid.UUID, parts []uuid.UUID) ([]uuid.UUID, error) {
	rows, err := s.q.OutboundRuns(ctx, dbsqlc.OutboundRunsParams{First: first, Parts: parts})
	if err != nil {
		return nil, wrap(err, "reading the runs of message "+first.String())
	}
	out := make([]uuid.UUID, len(rows))
	for i, r := range rows {
		out[i] = r.ID
	}
	return out, nil
}
