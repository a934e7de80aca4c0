package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/store/dbsqlc"
)

// ResolveDelivery takes a person's word on a message whose outcome is unknown:
// see part_resolve in the migrations. externalID is the platform's id, "" if
// nobody knows it. What goes on is to be started by the caller. ErrNotFound if
// there is no such outbound message.
func (s *Store) ResolveDelivery(ctx context.Context, tenant string, id uuid.UUID, outcome, externalID string) (*omni.DeliveryResolution, error) {
	var (
		state, status, channel, workflow, traceparent *string
		instance, chat, message                       uuid.NullUUID
		epoch, parts                                  *int
	)
	r := &omni.DeliveryResolution{TenantID: tenant}
	err := s.pool.QueryRow(ctx, `SELECT state, status, instance_id, channel, chat_id, turn_id, message_id, epoch, workflow_id, traceparent, resumption, parts
		FROM part_resolve($1,$2,$3,$4)`, tenant, id, outcome, externalID).
		Scan(&state, &status, &instance, &channel, &chat, &r.TurnID, &message, &epoch, &workflow, &traceparent,
			&r.Resumption, &parts)
	if err == nil && state == nil {
		err = ErrNotFound
	}
	if err != nil {
		return nil, wrap(err, "resolving the delivery of message "+id.String())
	}
	r.State, r.Status, r.Channel = omni.ResolveState(*state), omni.Status(deref(status)), deref(channel)
	r.Epoch, r.WorkflowID, r.Traceparent, r.Parts = deref(epoch), deref(workflow), deref(traceparent), deref(parts)
	r.InstanceID, r.ChatID, r.MessageID = instance.UUID, chat.UUID, message.UUID
	s.Nudge()
	return r, nil
}

// ReleaseOutbound lets messages sent by API go on that were held because nobody
// knew whether a part arrived, and of which a platform's receipt has said so
// since; and returns those that go on, older than that, whose workflow is not
// known to exist.
func (s *Store) ReleaseOutbound(ctx context.Context, olderThan time.Duration, limit int) ([]omni.OutboundResumption, error) {
	var released int
	if err := s.pool.QueryRow(ctx, `SELECT outbound_release_due($1)`, limit).Scan(&released); err != nil {
		return nil, fmt.Errorf("releasing held messages: %w", err)
	}
	rows, err := s.q.UnstartedResumptions(ctx, dbsqlc.UnstartedResumptionsParams{
		OlderThanSecs: olderThan.Seconds(), RowLimit: int32(limit)}) //nolint:gosec // a small number
	if err != nil {
		return nil, fmt.Errorf("listing messages to go on with: %w", err)
	}
	out := make([]omni.OutboundResumption, len(rows))
	for i, r := range rows {
		out[i] = omni.OutboundResumption{ID: r.ID, TenantID: r.TenantID, InstanceID: r.InstanceID, Channel: r.Channel, ChatID: r.ChatID,
			MessageID: r.MessageID, Parts: int(r.PartCount), Traceparent: r.Traceparent}
	}
	return out, nil
}

// MarkResumptionStarted notes that the workflow of one that goes on exists.
func (s *Store) MarkResumptionStarted(ctx context.Context, id uuid.UUID) error {
	return wrap(s.q.MarkResumptionStarted(ctx, id), "noting the start of resumption "+id.String())
}

// UnparkTurns lets replies go on, or end, that were held because nobody knew
// whether a part arrived, and of which a platform's receipt has said so since.
// It returns those whose workflow is to be started.
func (s *Store) UnparkTurns(ctx context.Context, limit int) ([]omni.SuspectTurn, error) {
	parked, err := s.q.ParkedTurns(ctx, int32(limit)) //nolint:gosec // a small number
	if err != nil {
		return nil, fmt.Errorf("listing held turns: %w", err)
	}
	var reopened []omni.SuspectTurn
	for _, p := range parked {
		var (
			id, instance, chat, leader uuid.NullUUID
			tenant, channel, workflow  *string
			epoch                      *int
		)
		err := s.pool.QueryRow(ctx, `SELECT id, tenant_id, instance_id, channel, chat_id, leader, workflow_id, epoch
			FROM turn_unpark_parked($1,$2)`, p.ChatID, p.ID).Scan(&id, &tenant, &instance, &channel, &chat, &leader, &workflow, &epoch)
		if err != nil {
			return reopened, fmt.Errorf("going on with held turn %s: %w", p.ID, err)
		}
		if id.Valid {
			reopened = append(reopened, omni.SuspectTurn{ID: id.UUID, TenantID: deref(tenant), InstanceID: instance.UUID, Channel: deref(channel),
				ChatID: chat.UUID, Leader: leader.UUID, WorkflowID: deref(workflow), Epoch: deref(epoch)})
		}
	}
	if len(parked) > 0 {
		s.Nudge()
	}
	return reopened, nil
}
