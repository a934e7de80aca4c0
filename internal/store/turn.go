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

	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/store/dbsqlc"
)

// JoinTurn is turn.Join: see turn_join in the migrations.
func (s *Store) JoinTurn(ctx context.Context, p omni.JoinParams) (omni.TurnView, error) {
	query := `SELECT * FROM turn_join($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$16)`
	if p.Interrupt {
		query = `SELECT * FROM turn_join_interrupting($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$16)`
	}
	var v turnView
	err := s.together.queryRow(ctx, p.ChatID, func(row pgx.Row) error { return v.scan(row) }, query,
		p.ChatID, p.MessageID, p.SessionKey, p.Agent, p.WorkflowID, p.TurnID, p.Refuse, p.Quiet, p.QuietCap,
		p.MediaPending, p.Close, p.Closing.Provider, p.Closing.AnswerWithin, p.Closing.MediaWithin,
		p.Attempt.StartedAt, p.Attempt.Number)
	if err != nil {
		return omni.TurnView{}, fmt.Errorf("joining a turn with message %s: %w", p.MessageID, err)
	}
	return s.seen(v), nil
}

// CloseTurn is turn.Close: see turn_close in the migrations.
func (s *Store) CloseTurn(ctx context.Context, chat, turn uuid.UUID, workflowID string, epoch int, c omni.ClosingParams, a omni.Attempt) (omni.TurnView, error) {
	typing, err := json.Marshal(c.Typing)
	if err != nil {
		return omni.TurnView{}, fmt.Errorf("encoding who types in chat %s: %w", chat, err)
	}
	if len(c.Typing) == 0 {
		typing = []byte("[]")
	}
	row := s.pool.QueryRow(ctx, `SELECT * FROM turn_close($1,$2,$3,$4,$5,$6,$7,$8,$9,$10)`,
		chat, turn, workflowID, epoch, c.Provider, c.AnswerWithin, c.MediaWithin, typing, a.StartedAt, a.Number)
	v, err := s.scanTurnView(row)
	if err != nil {
		return omni.TurnView{}, fmt.Errorf("closing turn %s: %w", turn, err)
	}
	return v, nil
}

// YieldTurn is turn.Yield: see turn_yield in the migrations.
func (s *Store) YieldTurn(ctx context.Context, p omni.YieldParams) (omni.TurnView, error) {
	row := s.pool.QueryRow(ctx, `SELECT * FROM turn_yield($1,$2,$3,$4,$5,$6,$7,$8,$9,$10)`, p.ChatID, p.TurnID, p.WorkflowID, p.Epoch,
		p.From, p.Closing.Provider, p.Closing.AnswerWithin, p.Closing.MediaWithin, p.Attempt.StartedAt, p.Attempt.Number)
	v, err := s.scanTurnView(row)
	if err != nil {
		return omni.TurnView{}, fmt.Errorf("interrupting turn %s: %w", p.From, err)
	}
	s.Nudge()
	return v, nil
}

// ReadyTurn is turn.Ready: the media of a message is processed. wake names the
// workflow that waits for it, "" where none does. A message that has not joined
// a turn gives a view without a state.
func (s *Store) ReadyTurn(ctx context.Context, chat, messageID uuid.UUID, workflowID string) (v omni.TurnView, wake string, err error) {
	var behind *string
	row := s.pool.QueryRow(ctx, `SELECT (seen).*, wake FROM turn_ready($1,$2,$3)`, chat, messageID, workflowID)
	if v, err = s.scanTurnView(row, &behind); err != nil {
		return omni.TurnView{}, "", fmt.Errorf("saying that message %s is ready: %w", messageID, err)
	}
	return v, deref(behind), nil
}

type rowScanner interface{ Scan(dest ...any) error }

// scanTurnView reads a turn_view, and into more what follows it in the row.
func (s *Store) scanTurnView(row rowScanner, more ...any) (omni.TurnView, error) {
	var v turnView
	if err := v.scan(row, more...); err != nil {
		return omni.TurnView{}, err
	}
	return s.seen(v), nil
}

// turnView is a turn_view with the batch of the turn, where it has closed.
type turnView struct {
	omni.TurnView

	batch []byte
}

// seen keeps the batch: the step that answers usually runs next, in this process.
func (s *Store) seen(v turnView) omni.TurnView {
	if v.batch != nil && v.TurnID.Valid {
		s.batches.Set(batchKey{v.TurnID.UUID, v.Epoch}, v.batch)
	}
	return v.TurnView
}

func (v *turnView) scan(row rowScanner, more ...any) error {
	var (
		state, outcome        *string
		epoch, waitMs, amount *int
		answered              *bool
		agent                 *string
	)
	into := append([]any{&state, &v.TurnID, &epoch, &v.Leader, &waitMs, &outcome, &amount, &answered, &v.Suspect, &v.batch, &v.Interrupt, &agent}, more...)
	if err := row.Scan(into...); err != nil {
		return err
	}
	v.State, v.Outcome = deref(state), deref(outcome)
	v.Epoch, v.Messages, v.Answered = deref(epoch), deref(amount), deref(answered)
	v.Wait = time.Duration(deref(waitMs)) * time.Millisecond
	v.Agent = deref(agent)
	return nil
}

func deref[T any](p *T) T {
	var zero T
	if p == nil {
		return zero
	}
	return *p
}

// TurnBatch returns the messages a closed turn answers, by sequence, as they
// read when it closed in this process, else as they read now.
func (s *Store) TurnBatch(ctx context.Context, turn uuid.UUID, epoch int) ([]omni.TurnMessage, error) {
	raw, ok := s.batches.GetIfPresent(batchKey{turn, epoch})
	if !ok {
		if err := s.pool.QueryRow(ctx, `SELECT turn_batch($1)`, turn).Scan(&raw); err != nil {
			return nil, fmt.Errorf("reading the batch of turn %s: %w", turn, err)
		}
	}
	var batch []omni.TurnMessage
	if err := json.Unmarshal(raw, &batch); err != nil {
		return nil, fmt.Errorf("decoding the batch of turn %s: %w", turn, err)
	}
	return batch, nil
}

// batchKey is a turn at an epoch.
type batchKey struct {
	turn  uuid.UUID
	epoch int
}

// AnswerTurn stores the answer of a turn with its parts; the first stored
// answer wins. It returns a TurnState ("closed": deliver the parts) and how
// many parts there are.
func (s *Store) AnswerTurn(ctx context.Context, chat, turn uuid.UUID, workflowID string, epoch int, ans omni.Answer,
	deliverWithin time.Duration, a omni.Attempt) (state string, parts int, err error) {
	args, err := answerArgs(chat, turn, workflowID, epoch, ans, deliverWithin, a)
	if err != nil {
		return "", 0, err
	}
	query := `SELECT state, parts FROM turn_answer($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12)`
	if ans.Actions != nil {
		query = `SELECT state, parts FROM turn_answer_acting($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15)`
		if args, err = actingArgs(args, ans); err != nil {
			return "", 0, fmt.Errorf("encoding the actions of turn %s: %w", turn, err)
		}
	}
	row := s.pool.QueryRow(ctx, query, args...)
	if err := row.Scan(&state, &parts); err != nil {
		return "", 0, fmt.Errorf("storing the answer of turn %s: %w", turn, err)
	}
	s.batches.Invalidate(batchKey{turn, epoch})
	s.Nudge()
	return state, parts, nil
}

// AnswerAndClaim is AnswerTurn for an answer that is handed over at once: if
// it has one part, the same transaction claims it as ClaimPart does. The claim
// has no state where nothing was claimed.
func (s *Store) AnswerAndClaim(ctx context.Context, p omni.ClaimParams, ans omni.Answer, deliverWithin time.Duration,
	a omni.Attempt) (state string, parts int, c omni.PartClaim, err error) {
	args, err := answerArgs(p.ChatID, p.TurnID, p.WorkflowID, p.Epoch, ans, deliverWithin, a)
	if err != nil {
		return "", 0, c, err
	}
	err = s.together.queryRow(ctx, p.ChatID,
		func(row pgx.Row) (err error) { c, err = scanClaim(row, &state, &parts); return err },
		`SELECT state, parts, (claim).* FROM turn_answer_claim($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15)`,
		append(args, p.Sender, p.TTL, p.SkipUnknown)...)
	if err != nil {
		return "", 0, omni.PartClaim{}, fmt.Errorf("storing and claiming the answer of turn %s: %w", p.TurnID, err)
	}
	s.batches.Invalidate(batchKey{p.TurnID, p.Epoch})
	s.Nudge()
	return state, parts, c, nil
}

// actingArgs are the arguments of turn_answer_acting.
func actingArgs(args []any, ans omni.Answer) ([]any, error) {
	actions, err := json.Marshal(ans.Actions)
	if err != nil {
		return nil, err
	}
	var gate []byte
	if ans.Gate != nil {
		if gate, err = json.Marshal(ans.Gate); err != nil {
			return nil, err
		}
	}
	targets := ans.Targets
	if targets == nil {
		targets = []uuid.UUID{}
	}
	return append(args, actions, gate, targets), nil
}

// answerArgs are the arguments of turn_answer.
func answerArgs(chat, turn uuid.UUID, workflowID string, epoch int, ans omni.Answer, deliverWithin time.Duration, a omni.Attempt) ([]any, error) {
	contents, err := json.Marshal(ans.Parts)
	if err != nil {
		return nil, fmt.Errorf("encoding the parts of turn %s: %w", turn, err)
	}
	if ans.Parts == nil {
		contents = []byte("[]")
	}
	details, err := json.Marshal(ans.Details)
	if err != nil {
		return nil, fmt.Errorf("encoding the details of turn %s: %w", turn, err)
	}
	if ans.Details == nil {
		details = []byte("{}")
	}
	ids := make([]uuid.UUID, len(ans.Parts))
	for i := range ids {
		ids[i] = omni.PartID(turn, i)
	}
	return []any{chat, turn, workflowID, epoch, ans.Text, contents, ids, int(ans.Took.Milliseconds()), details, deliverWithin,
		a.StartedAt, a.Number}, nil
}

// TouchTurn keeps an answering turn from becoming suspect for another while.
// It returns false where the turn is no longer the caller's.
func (s *Store) TouchTurn(ctx context.Context, turn uuid.UUID, workflowID string, epoch int, within time.Duration) (bool, error) {
	var mine bool
	if err := s.pool.QueryRow(ctx, `SELECT turn_touch($1,$2,$3,$4)`, turn, workflowID, epoch, within).Scan(&mine); err != nil {
		return false, fmt.Errorf("touching turn %s: %w", turn, err)
	}
	return mine, nil
}

// GiveUpTurn records that the agent of a turn failed for good, with a dead
// letter. It returns a TurnState and, where an answer is stored already, how
// many parts it has (nil: none is).
func (s *Store) GiveUpTurn(ctx context.Context, t omni.TurnFailure, a omni.Attempt) (state string, parts *int, err error) {
	err = s.pool.QueryRow(ctx, `SELECT state, parts FROM turn_give_up($1,$2,$3,$4,$5,$6,$7,$8,$9)`, t.ChatID, t.TurnID, t.WorkflowID,
		t.Epoch, t.Error, t.Kind, t.Attempts, a.StartedAt, a.Number).Scan(&state, &parts)
	if err != nil {
		return "", nil, fmt.Errorf("giving turn %s up: %w", t.TurnID, err)
	}
	s.Nudge()
	return state, parts, nil
}

// FinishTurn is turn.Finish. It returns the outcome that stands and the
// workflows of the leaders that wait behind.
func (s *Store) FinishTurn(ctx context.Context, p omni.FinishParams) (outcome string, wake []string, err error) {
	err = s.pool.QueryRow(ctx, `SELECT outcome, wake FROM turn_finish($1,$2,$3,$4,$5,$6,$7,$8,$9,$10)`,
		p.ChatID, p.TurnID, p.WorkflowID, p.Epoch, p.Outcome, p.Error, p.DeadLetter, p.Attempts,
		p.Attempt.StartedAt, p.Attempt.Number).Scan(&outcome, &wake)
	if err != nil {
		return "", nil, fmt.Errorf("finishing turn %s: %w", p.TurnID, err)
	}
	s.Nudge()
	return outcome, wake, nil
}

// YieldedTo names the turn that took the messages of an interrupted one, and
// its leader; not valid where none did.
func (s *Store) YieldedTo(ctx context.Context, turn uuid.UUID) (heir, leader uuid.NullUUID, err error) {
	row, err := s.q.TurnYieldedTo(ctx, turn)
	if errors.Is(err, pgx.ErrNoRows) {
		return heir, leader, nil
	}
	if err != nil {
		return heir, leader, fmt.Errorf("asking who has the messages of turn %s: %w", turn, err)
	}
	return uuid.NullUUID{UUID: row.ID, Valid: true}, uuid.NullUUID{UUID: row.Leader, Valid: true}, nil
}

// OverdueTurns lists turns past their due time, oldest first; with only set,
// just that turn if it is overdue.
func (s *Store) OverdueTurns(ctx context.Context, only uuid.NullUUID, limit int) ([]omni.SuspectTurn, error) {
	rows, err := s.q.OverdueTurns(ctx, dbsqlc.OverdueTurnsParams{Only: only, LimitTo: int32(limit)})
	if err != nil {
		return nil, fmt.Errorf("listing overdue turns: %w", err)
	}
	suspects := make([]omni.SuspectTurn, len(rows))
	for i, r := range rows {
		suspects[i] = omni.SuspectTurn{ID: r.ID, TenantID: r.TenantID, InstanceID: r.InstanceID, Channel: r.Channel,
			ChatID: r.ChatID, Leader: r.Leader, WorkflowID: r.WorkflowID, Epoch: int(r.Epoch)}
	}
	return suspects, nil
}

// PostponeTurn says that the workflow of an overdue turn was found alive.
func (s *Store) PostponeTurn(ctx context.Context, turn uuid.UUID, by time.Duration) error {
	interval := pgtype.Interval{Microseconds: by.Microseconds(), Valid: true}
	if err := s.q.PostponeTurn(ctx, dbsqlc.PostponeTurnParams{ID: turn, By: interval}); err != nil {
		return fmt.Errorf("postponing turn %s: %w", turn, err)
	}
	return nil
}

// AdoptTurn gives an overdue turn to another workflow. ok is false where
// somebody was quicker.
func (s *Store) AdoptTurn(ctx context.Context, t omni.SuspectTurn, newWorkflowID string) (epoch int, ok bool, err error) {
	var e *int
	err = s.pool.QueryRow(ctx, `SELECT turn_adopt($1,$2,$3,$4,$5)`, t.ChatID, t.ID, t.WorkflowID, t.Epoch, newWorkflowID).Scan(&e)
	if err != nil {
		return 0, false, fmt.Errorf("adopting turn %s: %w", t.ID, err)
	}
	return deref(e), e != nil, nil
}
