package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/store/dbsqlc"
)

// AskTurn opens a turn for an answer that comes by a call of the agent's own,
// for as long as within. False: the turn is no longer the caller's, or it is
// answered.
func (s *Store) AskTurn(ctx context.Context, turn uuid.UUID, workflowID string, epoch int, within time.Duration) (bool, error) {
	var mine bool
	if err := s.pool.QueryRow(ctx, `SELECT turn_ask($1,$2,$3,$4)`, turn, workflowID, epoch, within).Scan(&mine); err != nil {
		return false, fmt.Errorf("opening turn %s for its agent: %w", turn, err)
	}
	return mine, nil
}

// AwaitTurn says that a turn waits for such an answer, and whether it has come:
// see turn_await in the migrations.
func (s *Store) AwaitTurn(ctx context.Context, chat, turn uuid.UUID, workflowID string, epoch int) (omni.TurnWait, error) {
	var (
		w      omni.TurnWait
		waitMs *int
	)
	err := s.pool.QueryRow(ctx, `SELECT state, parts, wait_ms FROM turn_await($1,$2,$3,$4)`, chat, turn, workflowID, epoch).
		Scan(&w.State, &w.Parts, &waitMs)
	if err != nil {
		return omni.TurnWait{}, fmt.Errorf("waiting for the agent of turn %s: %w", turn, err)
	}
	w.Wait = time.Duration(deref(waitMs)) * time.Millisecond
	return w, nil
}

// AwaitingWorkflow names the workflow that waits for such an answer, "" where
// none does. A turn that was cancelled meanwhile still names it.
func (s *Store) AwaitingWorkflow(ctx context.Context, turn uuid.UUID) (string, error) {
	id, err := s.q.AwaitingWorkflow(ctx, turn)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("asking who waits for the agent of turn %s: %w", turn, err)
	}
	return id, nil
}

// TurnOwner says whose a turn is; ErrNotFound where the tenant has no such turn.
func (s *Store) TurnOwner(ctx context.Context, tenant string, turn uuid.UUID) (omni.TurnOwner, error) {
	r, err := s.q.TurnOwner(ctx, dbsqlc.TurnOwnerParams{ID: turn, TenantID: tenant})
	if err != nil {
		return omni.TurnOwner{}, wrap(err, "reading turn "+turn.String())
	}
	return omni.TurnOwner{InstanceID: r.InstanceID, Channel: r.Channel, Agent: r.Agent}, nil
}

// ReplyTurn stores the answer that an agent sent by a call of its own. hash
// names the call's body: the same one again is answered alike.
func (s *Store) ReplyTurn(ctx context.Context, tenant string, turn uuid.UUID, ans omni.Answer, hash []byte,
	deliverWithin time.Duration) (omni.TurnReply, error) {
	args, err := answerArgs(uuid.Nil, turn, "", 0, ans, deliverWithin, omni.Attempt{})
	if err != nil {
		return omni.TurnReply{}, err
	}
	text, contents, ids, details := args[4], args[5], args[6], args[8]
	var (
		r        omni.TurnReply
		parts    *int
		workflow *string
	)
	query, params := `SELECT state, parts, workflow FROM turn_reply($1,$2,$3,$4,$5,$6,$7,$8)`,
		[]any{tenant, turn, text, contents, ids, hash, details, deliverWithin}
	if ans.Actions != nil {
		query = `SELECT state, parts, workflow FROM turn_reply_acting($1,$2,$3,$4,$5,$6,$7,$8,$9,$10)`
		actions, err := json.Marshal(ans.Actions)
		if err != nil {
			return omni.TurnReply{}, fmt.Errorf("encoding the actions of turn %s: %w", turn, err)
		}
		params = append(params, actions, append([]uuid.UUID{}, ans.Targets...))
	}
	err = s.pool.QueryRow(ctx, query, params...).Scan(&r.State, &parts, &workflow)
	if err != nil {
		return omni.TurnReply{}, fmt.Errorf("storing the reply to turn %s: %w", turn, err)
	}
	r.Parts, r.WorkflowID = deref(parts), deref(workflow)
	s.Nudge()
	return r, nil
}
