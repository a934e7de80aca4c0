package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/store/dbsqlc"
)

// AgentTurn reads what the step that answers must know of its turn, with the
// last past messages before the batch.
func (s *Store) AgentTurn(ctx context.Context, turn uuid.UUID, workflowID string, epoch int, past omni.Memory) (*omni.AgentTurn, error) {
	r, err := s.q.AgentTurn(ctx, dbsqlc.AgentTurnParams{TurnID: turn, WorkflowID: workflowID, Epoch: int32(epoch),
		Past: int32(past.Messages), Within: interval(past.Within)})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("reading turn %s for its agent: %w", turn, err)
	}
	t := &omni.AgentTurn{State: r.State, SessionKey: r.SessionKey, Text: r.Answer, Awaiting: r.Awaiting, FollowUp: r.FollowUp,
		Person: omni.AgentPerson{ID: r.PersonID, Name: r.PersonName},
		Chat:   message.Chat{ID: r.ExternalID, Type: message.ChatType(r.Type), Name: r.Name}}
	if r.Gate != nil {
		t.Gate = &omni.GateDecision{}
		if err := json.Unmarshal(r.Gate, t.Gate); err != nil {
			return nil, fmt.Errorf("decoding the gate of turn %s: %w", turn, err)
		}
	}
	if r.PartCount != nil {
		parts := int(*r.PartCount)
		t.Parts = &parts
	}
	if err := json.Unmarshal(r.History, &t.History); err != nil {
		return nil, fmt.Errorf("decoding the history of turn %s: %w", turn, err)
	}
	return t, nil
}

// SessionHistory reads the past of an agent session that belongs to a person,
// oldest first, without the given turn.
func (s *Store) SessionHistory(ctx context.Context, sessionKey string, turn uuid.UUID, past omni.Memory) ([]omni.PastMessage, error) {
	raw, err := s.q.SessionHistory(ctx, dbsqlc.SessionHistoryParams{SessionKey: sessionKey, TurnID: turn,
		Past: int32(past.Messages), Within: interval(past.Within)})
	if err != nil {
		return nil, fmt.Errorf("reading the session of turn %s: %w", turn, err)
	}
	var history []omni.PastMessage
	if err := json.Unmarshal(raw, &history); err != nil {
		return nil, fmt.Errorf("decoding the session of turn %s: %w", turn, err)
	}
	return history, nil
}

func interval(d time.Duration) pgtype.Interval {
	return pgtype.Interval{Microseconds: d.Microseconds(), Valid: true}
}

// GateTurn keeps that the agent of a turn is to be asked. False: the turn is
// no longer the caller's.
func (s *Store) GateTurn(ctx context.Context, turn uuid.UUID, workflowID string, epoch int, d omni.GateDecision) (mine bool, err error) {
	raw, err := json.Marshal(d)
	if err != nil {
		return false, fmt.Errorf("encoding the gate of turn %s: %w", turn, err)
	}
	n, err := s.q.GateTurn(ctx, dbsqlc.GateTurnParams{Gate: raw, TurnID: turn, WorkflowID: workflowID, Epoch: int32(epoch)})
	if err != nil {
		return false, fmt.Errorf("keeping the gate of turn %s: %w", turn, err)
	}
	return n > 0, nil
}

// AgentFailed writes agent.error for an attempt that will be repeated. False:
// the turn is no longer the caller's.
func (s *Store) AgentFailed(ctx context.Context, f omni.AgentFailure, a omni.Attempt) (mine bool, err error) {
	n, err := s.q.AgentFailed(ctx, dbsqlc.AgentFailedParams{TurnID: f.TurnID, WorkflowID: f.WorkflowID, Epoch: int32(f.Epoch),
		Error: f.Error.Error(), Kind: string(f.Error.Kind), HttpStatus: int32(f.Error.Status),
		RetryAfterMs: f.Error.RetryAfter.Milliseconds(), StartedAt: a.StartedAt, Attempt: int32(a.Number),
		Within: interval(f.Within)})
	if err != nil {
		return false, fmt.Errorf("recording a failed call of the agent of turn %s: %w", f.TurnID, err)
	}
	if n > 0 {
		s.Nudge()
	}
	return n > 0, nil
}

// AgentAttempts counts the failed calls of a turn's agent.
func (s *Store) AgentAttempts(ctx context.Context, turn uuid.UUID) (int, error) {
	n, err := s.q.AgentAttempts(ctx, turn)
	if err != nil {
		return 0, fmt.Errorf("counting the failed calls of the agent of turn %s: %w", turn, err)
	}
	return int(n), nil
}

// AgentLatencies returns how long an agent took in its last turns, oldest
// first: the instance's own (agent "") in that instance, any other wherever it
// answered.
func (s *Store) AgentLatencies(ctx context.Context, instance uuid.UUID, agent string, limit int) ([]time.Duration, error) {
	var rows []int32
	var err error
	if agent == "" {
		rows, err = s.q.AgentLatencies(ctx, dbsqlc.AgentLatenciesParams{InstanceID: instance, RowLimit: int32(limit)})
	} else {
		rows, err = s.q.SharedAgentLatencies(ctx, dbsqlc.SharedAgentLatenciesParams{Agent: agent, RowLimit: int32(limit)})
	}
	if err != nil {
		return nil, fmt.Errorf("reading how quick the agent %s of instance %s was: %w", agent, instance, err)
	}
	took := make([]time.Duration, len(rows))
	for i, ms := range rows {
		took[len(rows)-1-i] = time.Duration(ms) * time.Millisecond
	}
	return took, nil
}
