package store

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/omnihub/omni/internal/store/dbsqlc"
)

// ChannelValue reads what a channel kept for an instance; nil, nil where there
// is nothing under the key.
func (s *Store) ChannelValue(ctx context.Context, instanceID uuid.UUID, key string) ([]byte, error) {
	v, err := s.q.GetChannelValue(ctx, dbsqlc.GetChannelValueParams{InstanceID: instanceID, Key: key})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	return v, wrap(err, "reading a channel's value")
}

// PutChannelValue keeps a value for an instance.
func (s *Store) PutChannelValue(ctx context.Context, tenant string, instanceID uuid.UUID, key string, value []byte) error {
	if value == nil {
		value = []byte{}
	}
	err := s.q.PutChannelValue(ctx, dbsqlc.PutChannelValueParams{TenantID: tenant, InstanceID: instanceID, Key: key, Value: value})
	return wrap(err, "keeping a channel's value")
}

// DeleteChannelValue forgets a value; one that is absent is no error.
func (s *Store) DeleteChannelValue(ctx context.Context, instanceID uuid.UUID, key string) error {
	err := s.q.DeleteChannelValue(ctx, dbsqlc.DeleteChannelValueParams{InstanceID: instanceID, Key: key})
	return wrap(err, "forgetting a channel's value")
}
