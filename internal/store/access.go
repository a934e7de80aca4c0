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

// AccessQuestion reads what deciding about a message needs, in one round trip:
// the rules as they are now. ErrNotFound: nobody has recorded it yet.
func (s *Store) AccessQuestion(ctx context.Context, id uuid.UUID) (*omni.AccessQuestion, error) {
	var raw []byte
	if err := s.pool.QueryRow(ctx, `SELECT access_question($1)`, id).Scan(&raw); err != nil {
		return nil, wrap(err, "reading who sent message "+id.String())
	}
	if raw == nil {
		return nil, wrap(ErrNotFound, "reading who sent message "+id.String())
	}
	return s.newAccessQuestion(ctx, raw)
}

// accessQuestion is what access_question returns.
type accessQuestion struct {
	omni.AccessFacts

	Mode   *string `json:"mode"`
	Paused bool    `json:"paused"`
	Rules  string  `json:"rules"` // of access_candidates
}

func (s *Store) newAccessQuestion(ctx context.Context, raw []byte) (*omni.AccessQuestion, error) {
	var row accessQuestion
	if err := json.Unmarshal(raw, &row); err != nil {
		return nil, fmt.Errorf("decoding an access question: %w", err)
	}
	rules, err := s.accessRules(ctx, row.Rules)
	if err != nil {
		return nil, err
	}
	return &omni.AccessQuestion{AccessFacts: row.AccessFacts, Mode: row.Mode, Paused: row.Paused, Rules: rules, ReadAt: time.Now()}, nil
}

func accessRuleView(r dbsqlc.AccessRule) (*omni.AccessRule, error) {
	out := &omni.AccessRule{ID: r.ID, TenantID: r.TenantID, InstanceID: idOf(r.InstanceID), Type: r.Type, Priority: int(r.Priority),
		Reason: r.Reason, Notice: r.Notice, ExpiresAt: r.ExpiresAt, Source: r.Source, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt}
	if err := json.Unmarshal(r.Match, &out.Match); err != nil {
		return nil, fmt.Errorf("decoding what rule %s matches: %w", r.ID, err)
	}
	out.Match.PersonID = idOf(r.PersonID)
	if len(r.Schedule) > 0 && string(r.Schedule) != "null" {
		if err := json.Unmarshal(r.Schedule, &out.Schedule); err != nil {
			return nil, fmt.Errorf("decoding the schedule of rule %s: %w", r.ID, err)
		}
	}
	if r.RateCount != nil && r.RateSeconds != nil {
		out.RateLimit = &omni.RateLimit{Count: int(*r.RateCount), PerSeconds: int(*r.RateSeconds)}
	}
	return out, nil
}

// CheckMessage decides about a message as planned, unless it is decided
// already, and returns the decision that stands. Tokens, codes and notices go
// with the decision: in one transaction, once.
func (s *Store) CheckMessage(ctx context.Context, id uuid.UUID, plan omni.AccessPlan, a omni.Attempt) (*omni.AccessAnswer, error) {
	steps, err := json.Marshal(plan.Steps)
	if err != nil {
		return nil, fmt.Errorf("encoding the access plan of message %s: %w", id, err)
	}
	code := omni.NewPairingCode()
	out := &omni.AccessAnswer{AccessDecision: omni.AccessDecision{Mode: plan.Mode}}
	err = s.pool.QueryRow(ctx, `SELECT decision, rule_id, reason, said FROM access_decide($1, $2, $3, $4, $5, $6, $7)`,
		id, plan.Mode, steps, code, omni.PairingText(code), a.StartedAt, a.Number).Scan(&out.Decision, &out.RuleID, &out.Reason, &out.Said)
	if err != nil {
		return nil, fmt.Errorf("storing the access decision of message %s: %w", id, err)
	}
	s.inbound.Invalidate(id)
	s.Nudge()
	return out, nil
}

// AccessCandidates reads the rules that may be about a sender.
func (s *Store) AccessCandidates(ctx context.Context, tenant string, f *omni.AccessFacts) ([]omni.AccessRule, error) {
	var found *string
	err := s.pool.QueryRow(ctx, `SELECT access_candidates($1, $2, access_keys($3, $4, $5, lower($6 COLLATE "C") COLLATE "default", $7, $8, $9))`, tenant, f.InstanceID,
		f.PersonID, f.PlatformUserID, f.Phones, f.Handle, f.ChatID, string(f.ChatType), f.Channel).Scan(&found)
	if err != nil {
		return nil, wrap(err, "looking for access rules")
	}
	return s.accessRules(ctx, deref(found))
}

// AccessSender reads what is known of an account of an instance: the one with
// that id of the platform's ("" for any), that phone number (E.164, "" for
// any), of that person. False where there is none.
func (s *Store) AccessSender(ctx context.Context, tenant string, instance uuid.UUID, user, phone string, person uuid.NullUUID) (f omni.AccessFacts, known bool, err error) {
	var raw []byte
	if err := s.pool.QueryRow(ctx, `SELECT access_sender($1, $2, $3, $4, $5)`, tenant, instance, user, phone, person).Scan(&raw); err != nil {
		return f, false, wrap(err, "looking for an account of instance "+instance.String())
	}
	if raw == nil {
		return f, false, nil
	}
	if err := json.Unmarshal(raw, &f); err != nil {
		return f, false, fmt.Errorf("decoding an account: %w", err)
	}
	return f, true, nil
}

// AccessTokens says how many tokens an account has of a rule at a time; a
// bucket that nobody has taken from is full.
func (s *Store) AccessTokens(ctx context.Context, tenant string, rule, identity uuid.UUID, l omni.RateLimit, at time.Time) (float64, error) {
	n, err := s.q.AccessTokens(ctx, dbsqlc.AccessTokensParams{TenantID: tenant, RuleID: rule, IdentityID: identity, At: at,
		Count: int32(l.Count), PerSeconds: int32(l.PerSeconds)}) //nolint:gosec // validated
	if errors.Is(err, pgx.ErrNoRows) {
		return float64(l.Count), nil
	}
	return n, wrap(err, "reading the bucket of rule "+rule.String())
}

// ForgetAccess drops what has no effect on access any more.
func (s *Store) ForgetAccess(ctx context.Context) error {
	return wrap(s.q.ForgetAccess(ctx), "forgetting access")
}
