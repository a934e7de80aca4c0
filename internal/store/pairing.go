package store

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/store/dbsqlc"
)

// pairingSelect reads pairings with what is known of the account now. One
// whose hour is over is expired, whoever notes it down.
const pairingSelect = `SELECT g.id, g.tenant_id, g.instance_id, g.channel, g.chat_id, coalesce(i.person_id, g.person_id), g.identity_id,
	coalesce(i.platform_user_id, ''), coalesce(i.name, ''), coalesce(i.phone, ''), g.message_id, g.code,
	CASE WHEN g.status = 'open' AND g.expires_at <= clock_timestamp() THEN 'expired' ELSE g.status END, g.rule_id, g.expires_at,
	g.decided_at, g.created_at
	FROM access_pairings g LEFT JOIN identities i ON i.id = g.identity_id`

func scanPairing(row pgx.CollectableRow) (p omni.Pairing, err error) {
	err = row.Scan(&p.ID, &p.TenantID, &p.InstanceID, &p.Channel, &p.ChatID, &p.PersonID, &p.IdentityID, &p.PlatformUserID, &p.Name,
		&p.Phone, &p.MessageID, &p.Code, &p.Status, &p.RuleID, &p.ExpiresAt, &p.DecidedAt, &p.CreatedAt)
	p.Code = omni.ShowPairingCode(p.Code)
	return p, err
}

// ListPairings reads a page, newest first.
func (s *Store) ListPairings(ctx context.Context, tenant string, f omni.PairingFilter, p omni.Page) ([]omni.Pairing, error) {
	w := &where{}
	w.and("g.tenant_id = ?", tenant)
	w.within("g.instance_id", f.Within)
	w.andID("g.instance_id = ?", f.InstanceID)
	w.andText("CASE WHEN g.status = 'open' AND g.expires_at <= clock_timestamp() THEN 'expired' ELSE g.status END = ?", f.Status)
	rows, err := s.pool.Query(ctx, pairingSelect+w.page("g.", p), w.args...)
	if err != nil {
		return nil, wrap(err, "listing pairings")
	}
	out, err := pgx.CollectRows(rows, scanPairing)
	return out, wrap(err, "reading pairings")
}

// DecidePairing takes a verdict on a stranger. Approving makes the rule that
// allows the account from now on, in the same transaction.
func (s *Store) DecidePairing(ctx context.Context, v omni.PairingVerdict) (*omni.PairingResult, error) {
	var out *omni.PairingResult
	err := s.inTx(ctx, func(tx pgx.Tx, q *dbsqlc.Queries) error {
		var err error
		out, err = decidePairing(ctx, tx, q, v)
		return err
	})
	return out, err
}

func decidePairing(ctx context.Context, tx pgx.Tx, q *dbsqlc.Queries, v omni.PairingVerdict) (*omni.PairingResult, error) {
	status, rule := omni.PairingRejected, uuid.NullUUID{}
	if v.Approve {
		status, rule = omni.PairingApproved, uuid.NullUUID{UUID: uuid.Must(uuid.NewV7()), Valid: true}
	}
	var id uuid.NullUUID
	out := &omni.PairingResult{}
	if err := tx.QueryRow(ctx, `SELECT state, id FROM access_pairing_decide($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		v.TenantID, v.Within, v.InstanceID, v.ID, v.Code, v.Guesser, status, rule, v.By).Scan(&out.State, &id); err != nil {
		return nil, wrap(err, "deciding about a pairing")
	}
	if !id.Valid {
		return out, nil
	}
	rows, err := tx.Query(ctx, pairingSelect+" WHERE g.id = $1", id.UUID)
	if err != nil {
		return nil, wrap(err, "reading pairing "+id.UUID.String())
	}
	p, err := pgx.CollectExactlyOneRow(rows, scanPairing)
	if err != nil {
		return nil, wrap(err, "reading pairing "+id.UUID.String())
	}
	out.Pairing = &p
	if out.State != omni.PairingDecided || !v.Approve {
		return out, nil
	}
	return out, letIn(ctx, q, &p)
}

// letIn makes the rule of an approved pairing: about this account on this
// instance and no other, whatever its id looks like.
func letIn(ctx context.Context, q *dbsqlc.Queries, p *omni.Pairing) error {
	if p.PlatformUserID == "" {
		return fmt.Errorf("pairing %s is of an account that is gone", p.ID)
	}
	if _, err := insertAccessRule(ctx, q, omni.AccessRule{ID: *p.RuleID, TenantID: p.TenantID, InstanceID: &p.InstanceID, Type: omni.RuleAllow,
		Match: omni.RuleMatch{PlatformUserID: omni.EscapeGlob(p.PlatformUserID)}, Reason: "paired", Source: omni.RuleFromPairing}); err != nil {
		return err
	}
	return appendEvent(ctx, q, NewEvent{TenantID: p.TenantID, Type: omni.EventAccessPaired, Subject: p.ID.String(), InstanceID: p.InstanceID,
		Channel: p.Channel, ChatID: uuid.NullUUID{UUID: p.ChatID, Valid: true}, PersonID: nullID(p.PersonID),
		CorrelationID: uuid.NullUUID{UUID: p.MessageID, Valid: true},
		Data: map[string]any{"pairingId": p.ID, "instanceId": p.InstanceID, "identityId": p.IdentityID, "personId": p.PersonID,
			"platformUserId": p.PlatformUserID, "chatId": p.ChatID, "ruleId": p.RuleID}})
}
