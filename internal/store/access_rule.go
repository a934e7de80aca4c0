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

// CreateAccessRule stores a new rule, with its event.
func (s *Store) CreateAccessRule(ctx context.Context, r omni.AccessRule) (*omni.AccessRule, error) {
	var out *omni.AccessRule
	err := s.inTx(ctx, func(_ pgx.Tx, q *dbsqlc.Queries) error {
		var err error
		out, err = insertAccessRule(ctx, q, r)
		return err
	})
	return out, err
}

func insertAccessRule(ctx context.Context, q *dbsqlc.Queries, r omni.AccessRule) (*omni.AccessRule, error) {
	c, err := ruleColumnsOf(&r)
	if err != nil {
		return nil, err
	}
	row, err := q.InsertAccessRule(ctx, dbsqlc.InsertAccessRuleParams{ID: r.ID, TenantID: r.TenantID, InstanceID: nullID(r.InstanceID),
		Type: r.Type, PersonID: nullID(r.Match.PersonID), Match: c.match, MatchKey: r.Match.Key(), Priority: int32(r.Priority), //nolint:gosec // validated
		Reason: r.Reason, Notice: r.Notice, ExpiresAt: r.ExpiresAt, Schedule: c.schedule, RateCount: c.count, RateSeconds: c.seconds,
		Source: r.Source})
	if err != nil {
		return nil, wrap(err, "storing rule "+r.ID.String())
	}
	out, err := accessRuleView(row)
	if err != nil {
		return nil, err
	}
	return out, appendRuleEvent(ctx, q, omni.EventAccessRuleCreated, out)
}

// ruleColumns are the columns that are no plain fields.
type ruleColumns struct {
	match, schedule json.RawMessage
	count, seconds  *int32
}

func ruleColumnsOf(r *omni.AccessRule) (c ruleColumns, err error) {
	match := r.Match
	match.PersonID = nil
	if c.match, err = json.Marshal(match); err != nil {
		return c, fmt.Errorf("encoding what rule %s matches: %w", r.ID, err)
	}
	if r.Schedule != nil {
		if c.schedule, err = json.Marshal(r.Schedule); err != nil {
			return c, fmt.Errorf("encoding the schedule of rule %s: %w", r.ID, err)
		}
	}
	if r.RateLimit != nil {
		count, seconds := int32(r.RateLimit.Count), int32(r.RateLimit.PerSeconds) //nolint:gosec // validated
		c.count, c.seconds = &count, &seconds
	}
	return c, nil
}

// AccessRule reads one rule of a tenant; ErrNotFound if there is none.
func (s *Store) AccessRule(ctx context.Context, tenant string, id uuid.UUID) (*omni.AccessRule, error) {
	row, err := s.q.GetAccessRule(ctx, dbsqlc.GetAccessRuleParams{ID: id, TenantID: tenant})
	if err != nil {
		return nil, wrap(err, "reading rule "+id.String())
	}
	return accessRuleView(row)
}

// PatchAccessRule lets change alter the rule under a row lock, then stores it
// with its event. Whatever change returns is returned as it is, and nothing is
// stored.
func (s *Store) PatchAccessRule(ctx context.Context, tenant string, id uuid.UUID, change func(*omni.AccessRule) error) (*omni.AccessRule, error) {
	var out *omni.AccessRule
	err := s.inTx(ctx, func(_ pgx.Tx, q *dbsqlc.Queries) error {
		row, err := q.LockAccessRule(ctx, dbsqlc.LockAccessRuleParams{ID: id, TenantID: tenant})
		if err != nil {
			return wrap(err, "reading rule "+id.String())
		}
		r, err := accessRuleView(row)
		if err != nil {
			return err
		}
		if err := change(r); err != nil {
			return err
		}
		c, err := ruleColumnsOf(r)
		if err != nil {
			return err
		}
		row, err = q.UpdateAccessRule(ctx, dbsqlc.UpdateAccessRuleParams{ID: id, InstanceID: nullID(r.InstanceID), Type: r.Type,
			PersonID: nullID(r.Match.PersonID), Match: c.match, MatchKey: r.Match.Key(), Priority: int32(r.Priority), Reason: r.Reason, //nolint:gosec // validated
			Notice: r.Notice, ExpiresAt: r.ExpiresAt, Schedule: c.schedule, RateCount: c.count, RateSeconds: c.seconds})
		if err != nil {
			return wrap(err, "storing rule "+id.String())
		}
		if out, err = accessRuleView(row); err != nil {
			return err
		}
		return appendRuleEvent(ctx, q, omni.EventAccessRuleUpdated, out)
	})
	return out, err
}

// DeleteAccessRule forgets a rule and what it has counted, with its event.
// ErrNotFound if there is none.
func (s *Store) DeleteAccessRule(ctx context.Context, tenant string, id uuid.UUID) error {
	return s.inTx(ctx, func(_ pgx.Tx, q *dbsqlc.Queries) error {
		row, err := q.DeleteAccessRule(ctx, dbsqlc.DeleteAccessRuleParams{ID: id, TenantID: tenant})
		if err != nil {
			return wrap(err, "deleting rule "+id.String())
		}
		r, err := accessRuleView(dbsqlc.AccessRule(row))
		if err != nil {
			return err
		}
		return appendRuleEvent(ctx, q, omni.EventAccessRuleDeleted, r)
	})
}

// ListAccessRules reads a page, newest first.
func (s *Store) ListAccessRules(ctx context.Context, tenant string, f omni.AccessRuleFilter, p omni.Page) ([]omni.AccessRule, error) {
	w := &where{}
	w.and("tenant_id = ?", tenant)
	w.within("instance_id", f.Within)
	w.andID("instance_id = ?", f.InstanceID)
	w.andID("person_id = ?", f.PersonID)
	w.andText("type = ?", f.Type)
	w.andText("source = ?", f.Source)
	rows, err := s.pool.Query(ctx, "SELECT "+accessRuleColumns+" FROM access_rules"+w.page("", p), w.args...)
	if err != nil {
		return nil, wrap(err, "listing access rules")
	}
	return collectAccessRules(rows)
}

// AccessRulesFor reads the first rules, by priority, that an instance has or
// shares: to explain what was not found either.
func (s *Store) AccessRulesFor(ctx context.Context, tenant string, instance uuid.UUID, limit int) ([]omni.AccessRule, error) {
	rows, err := s.pool.Query(ctx, "SELECT "+accessRuleColumns+` FROM access_rules
		WHERE tenant_id = $1 AND (instance_id IS NULL OR instance_id = $2)
		ORDER BY priority DESC, created_at DESC, id DESC LIMIT $3`, tenant, instance, limit)
	if err != nil {
		return nil, wrap(err, "listing access rules")
	}
	return collectAccessRules(rows)
}

func collectAccessRules(rows pgx.Rows) ([]omni.AccessRule, error) {
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[dbsqlc.AccessRule])
	if err != nil {
		return nil, wrap(err, "reading access rules")
	}
	out := make([]omni.AccessRule, 0, len(found))
	for _, row := range found {
		r, err := accessRuleView(row)
		if err != nil {
			return nil, err
		}
		out = append(out, *r)
	}
	return out, nil
}

// appendRuleEvent says what became of a rule. That of a rule for every instance
// names none.
func appendRuleEvent(ctx context.Context, q *dbsqlc.Queries, typ omni.EventType, r *omni.AccessRule) error {
	e := NewEvent{TenantID: r.TenantID, Type: typ, Subject: r.ID.String(), PersonID: nullID(r.Match.PersonID), Data: r}
	if r.InstanceID != nil {
		e.InstanceID = *r.InstanceID
		channel, err := q.InstanceChannel(ctx, *r.InstanceID)
		if err != nil {
			return wrap(err, "reading the channel of instance "+r.InstanceID.String())
		}
		e.Channel = channel
	}
	return appendEvent(ctx, q, e)
}
