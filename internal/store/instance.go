package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/store/dbsqlc"
)

// CreateInstance stores a new instance. ID, status and times are given here
// where they are empty; secrets are sealed.
func (s *Store) CreateInstance(ctx context.Context, in omni.Instance) (*omni.Instance, error) {
	if in.ID == uuid.Nil {
		in.ID = uuid.Must(uuid.NewV7())
	}
	if in.TenantID == "" {
		in.TenantID = omni.DefaultTenant
	}
	if in.Status == "" {
		in.Status = channels.StatusConnecting
	}
	cols, err := s.instanceColumns(&in)
	if err != nil {
		return nil, fmt.Errorf("storing instance %s: %w", in.ID, err)
	}
	row, err := s.q.InsertInstance(ctx, dbsqlc.InsertInstanceParams{
		ID: in.ID, TenantID: in.TenantID, Name: in.Name, Channel: in.Channel, Settings: cols.settings,
		ChannelConfig: cols.config, Secrets: cols.secrets, Status: string(in.Status), Disabled: in.Disabled,
	})
	if err != nil {
		return nil, wrap(err, "storing instance "+in.ID.String())
	}
	return s.instance(row)
}

// Instance reads one instance with its routes, its secrets in the clear. ErrNotFound where
// it does not exist or was deleted.
func (s *Store) Instance(ctx context.Context, id uuid.UUID) (*omni.Instance, error) {
	row, err := s.q.GetInstance(ctx, id)
	if err != nil {
		return nil, wrap(err, "reading instance "+id.String())
	}
	in, err := s.instance(row.Instance)
	if err != nil || !row.Routed {
		return in, err
	}
	in.Settings.Routed = true
	in.Routes, err = s.InstanceRoutes(ctx, id)
	return in, err
}

// ListInstances reads a page, newest first.
func (s *Store) ListInstances(ctx context.Context, tenant string, f omni.InstanceFilter, p omni.Page) ([]omni.Instance, error) {
	at, id := p.AfterParams()
	rows, err := s.q.ListInstances(ctx, dbsqlc.ListInstancesParams{
		TenantID: tenant, Channel: optional(f.Channel), Status: optional(f.Status), AllIds: f.IDs == nil, Ids: f.IDs,
		AfterAt: at, AfterID: id, RowLimit: int32(p.Limit),
	})
	if err != nil {
		return nil, wrap(err, "listing instances")
	}
	return s.instances(rows)
}

// ConnectableInstances reads every instance, of all tenants, that the gateways
// should hold a session for: neither deleted nor disconnected by call. One that
// cannot be read (sealed with another key) is left out and named in the error,
// which comes beside the others: it must not keep them offline.
func (s *Store) ConnectableInstances(ctx context.Context) ([]omni.Instance, error) {
	rows, err := s.q.ConnectableInstances(ctx)
	if err != nil {
		return nil, wrap(err, "listing the instances to connect")
	}
	var out []omni.Instance
	var broken []error
	for _, row := range rows {
		in, err := s.instance(row)
		if err != nil {
			broken = append(broken, err)
			continue
		}
		out = append(out, *in)
	}
	return out, errors.Join(broken...)
}

// PatchInstance lets change alter the instance under a row lock, then stores
// it with the next version. Whatever change returns is returned as it is, and
// nothing is stored.
func (s *Store) PatchInstance(ctx context.Context, tenant string, id uuid.UUID, change func(*omni.Instance) error) (*omni.Instance, error) {
	var out *omni.Instance
	err := s.inTx(ctx, func(_ pgx.Tx, q *dbsqlc.Queries) error {
		row, err := q.LockInstance(ctx, dbsqlc.LockInstanceParams{ID: id, TenantID: tenant})
		if err != nil {
			return wrap(err, "reading instance "+id.String())
		}
		in, err := s.instance(row)
		if err != nil {
			return err
		}
		before := in.Status
		if err := change(in); err != nil {
			return err
		}
		cols, err := s.instanceColumns(in)
		if err != nil {
			return fmt.Errorf("storing instance %s: %w", id, err)
		}
		row, err = q.UpdateInstance(ctx, dbsqlc.UpdateInstanceParams{
			ID: id, Name: in.Name, Settings: cols.settings, ChannelConfig: cols.config, Secrets: cols.secrets,
			Status: string(in.Status), StatusReason: in.StatusReason, Disabled: in.Disabled,
		})
		if err != nil {
			return wrap(err, "storing instance "+id.String())
		}
		if out, err = s.instance(row); err != nil || out.Status == before {
			return err
		}
		return appendState(ctx, q, tenant, id, out.Channel, out.Status, out.StatusReason)
	})
	if err != nil {
		return nil, err
	}
	s.Nudge()
	return out, nil
}

// DeleteInstance hides the instance for good and forgets its secrets; what it
// recorded stays. ErrNotFound where there is none.
func (s *Store) DeleteInstance(ctx context.Context, tenant string, id uuid.UUID) error {
	err := s.inTx(ctx, func(_ pgx.Tx, q *dbsqlc.Queries) error {
		channel, err := q.DeleteInstance(ctx, dbsqlc.DeleteInstanceParams{ID: id, TenantID: tenant})
		if err != nil {
			return wrap(err, "deleting instance "+id.String())
		}
		return appendState(ctx, q, tenant, id, channel, channels.StatusInactive, "deleted")
	})
	if err != nil {
		return err
	}
	s.Nudge()
	return nil
}

// SetInstanceState records what a session reports of its connection, and in
// the same transaction the event channel.connected, .disconnected or .error
// where the state is another one than before. last_connected_at moves when the
// status becomes active. The configuration's version stays.
func (s *Store) SetInstanceState(ctx context.Context, id uuid.UUID, status channels.Status, reason string) error {
	err := s.inTx(ctx, func(_ pgx.Tx, q *dbsqlc.Queries) error {
		row, err := q.SetInstanceState(ctx, dbsqlc.SetInstanceStateParams{ID: id, Status: string(status), StatusReason: reason})
		if err != nil {
			return wrap(err, "recording the state of instance "+id.String())
		}
		if !row.Changed {
			return nil
		}
		return appendState(ctx, q, row.TenantID, id, row.Channel, status, reason)
	})
	if err != nil {
		return err
	}
	s.Nudge()
	return nil
}

func appendState(ctx context.Context, q *dbsqlc.Queries, tenant string, id uuid.UUID, channel string, status channels.Status, reason string) error {
	typ, ok := stateEvent(status)
	if !ok {
		return nil
	}
	return appendEvent(ctx, q, NewEvent{
		TenantID: tenant, Type: typ, Subject: id.String(), InstanceID: id, Channel: channel,
		Data: map[string]any{"instanceId": id, "status": status, "reason": reason},
	})
}

// stateEvent names the event of a status; connecting is on the way to one.
func stateEvent(s channels.Status) (omni.EventType, bool) {
	switch s {
	case channels.StatusActive:
		return omni.EventChannelConnected, true
	case channels.StatusInactive:
		return omni.EventChannelDisconnected, true
	case channels.StatusError, channels.StatusNeedsLogin:
		return omni.EventChannelError, true
	default:
		return "", false
	}
}
