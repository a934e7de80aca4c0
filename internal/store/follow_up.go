package store

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/store/dbsqlc"
)

// UnarmedFollowUps lists a turn's follow-ups whose workflow is not known to exist.
func (s *Store) UnarmedFollowUps(ctx context.Context, turn uuid.UUID) ([]omni.PendingFollowUp, error) {
	rows, err := s.q.FollowUpsOfTurn(ctx, turn)
	if err != nil {
		return nil, fmt.Errorf("reading the follow-ups of turn %s: %w", turn, err)
	}
	out := make([]omni.PendingFollowUp, len(rows))
	for i, r := range rows {
		out[i] = pendingFollowUp(dbsqlc.UncheckedFollowUpsRow(r))
	}
	return out, nil
}

// UncheckedFollowUps lists follow-ups, the oldest first, that were not armed in
// time or whose time has passed a while ago.
func (s *Store) UncheckedFollowUps(ctx context.Context, limit int) ([]omni.PendingFollowUp, error) {
	rows, err := s.q.UncheckedFollowUps(ctx, int32(limit))
	if err != nil {
		return nil, fmt.Errorf("looking for follow-ups: %w", err)
	}
	out := make([]omni.PendingFollowUp, len(rows))
	for i, r := range rows {
		out[i] = pendingFollowUp(r)
	}
	return out, nil
}

func pendingFollowUp(r dbsqlc.UncheckedFollowUpsRow) omni.PendingFollowUp {
	return omni.PendingFollowUp{TurnID: r.TurnID, N: int(r.N), TenantID: r.TenantID, InstanceID: r.InstanceID, Channel: r.Channel,
		ChatID: r.ChatID, Leader: r.Leader, DueAt: r.DueAt, Armed: r.ArmedAt != nil}
}

// ArmFollowUp notes that the follow-up's workflow exists.
func (s *Store) ArmFollowUp(ctx context.Context, turn uuid.UUID, n int) error {
	if err := s.q.FollowUpArmed(ctx, dbsqlc.FollowUpArmedParams{TurnID: turn, N: int32(n)}); err != nil {
		return fmt.Errorf("noting follow-up %d of turn %s: %w", n, turn, err)
	}
	return nil
}

// DropFollowUp cancels a follow-up that waits; one that does not is left as it is.
func (s *Store) DropFollowUp(ctx context.Context, chat, turn uuid.UUID, n int, reason string) error {
	if _, err := s.pool.Exec(ctx, `SELECT follow_up_drop($1,$2,$3,$4)`, chat, turn, n, reason); err != nil {
		return fmt.Errorf("cancelling follow-up %d of turn %s: %w", n, turn, err)
	}
	s.Nudge()
	return nil
}

// ClaimFollowUp is followup.Claim: see follow_up_claim in the migrations.
func (s *Store) ClaimFollowUp(ctx context.Context, c omni.FollowUpClaim) (omni.TurnView, error) {
	v, err := s.scanTurnView(s.pool.QueryRow(ctx, `SELECT * FROM follow_up_claim($1,$2,$3,$4,$5,$6,$7,$8,$9)`,
		c.ChatID, c.TurnID, c.N, omni.FollowUpTurnID(c.TurnID, c.N), c.WorkflowID, c.Closing.Provider, c.Closing.AnswerWithin,
		c.Attempt.StartedAt, c.Attempt.Number))
	if err != nil {
		return omni.TurnView{}, fmt.Errorf("claiming follow-up %d of turn %s: %w", c.N, c.TurnID, err)
	}
	s.Nudge()
	return v, nil
}

// FollowUpsAfter lists which follow-ups a turn has had, by their number.
func (s *Store) FollowUpsAfter(ctx context.Context, turn uuid.UUID) ([]int, error) {
	rows, err := s.q.FollowUpsAfter(ctx, turn)
	if err != nil {
		return nil, fmt.Errorf("reading the follow-ups after turn %s: %w", turn, err)
	}
	out := make([]int, len(rows))
	for i, n := range rows {
		out[i] = int(n)
	}
	return out, nil
}

// FollowUpStands reports whether the turn of a follow-up is still the caller's
// to answer. One that must not be sent any more is ended by the question.
func (s *Store) FollowUpStands(ctx context.Context, chat, turn uuid.UUID, workflowID string, epoch int, a omni.Attempt) (bool, error) {
	var stands bool
	if err := s.pool.QueryRow(ctx, `SELECT follow_up_stands($1,$2,$3,$4,$5,$6)`, chat, turn, workflowID, epoch,
		a.StartedAt, a.Number).Scan(&stands); err != nil {
		return false, fmt.Errorf("asking whether follow-up %s is still wanted: %w", turn, err)
	}
	if !stands {
		s.Nudge()
	}
	return stands, nil
}
