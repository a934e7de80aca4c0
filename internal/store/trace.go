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
	return &omni.TurnTrace{ID: row.ID, LeaderID: row.Leader, WorkflowID: row.WorkflowID, State: row.State}, nil
}
