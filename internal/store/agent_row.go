package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/store/dbsqlc"
)

// CreateAgent stores a new agent; its key is sealed.
func (s *Store) CreateAgent(ctx context.Context, a omni.Agent) (*omni.Agent, error) {
	config, sealed, err := s.agentColumns(&a)
	if err != nil {
		return nil, err
	}
	row, err := s.q.InsertAgent(ctx, dbsqlc.InsertAgentParams{ID: a.ID, TenantID: a.TenantID, Name: a.Name, Config: config, Secrets: sealed})
	if err != nil {
		return nil, wrap(err, "storing agent "+a.ID.String())
	}
	return s.agent(row)
}

// Agent reads one agent with its key in the clear. ErrNotFound where it does
// not exist or was deleted.
func (s *Store) Agent(ctx context.Context, id uuid.UUID) (*omni.Agent, error) {
	row, err := s.q.GetAgent(ctx, id)
	if err != nil {
		return nil, wrap(err, "reading agent "+id.String())
	}
	return s.agent(row)
}

// ListAgents reads a page, newest first.
func (s *Store) ListAgents(ctx context.Context, tenant string, p omni.Page) ([]omni.Agent, error) {
	at, id := p.AfterParams()
	rows, err := s.q.ListAgents(ctx, dbsqlc.ListAgentsParams{TenantID: tenant, AfterAt: at, AfterID: id, RowLimit: int32(p.Limit)})
	if err != nil {
		return nil, wrap(err, "listing agents")
	}
	agents := make([]omni.Agent, 0, len(rows))
	for _, row := range rows {
		a, err := s.agent(row)
		if err != nil {
			return nil, err
		}
		agents = append(agents, *a)
	}
	return agents, nil
}

// PatchAgent lets change alter the agent under a row lock, then stores it with
// the next version. Whatever change returns is returned as it is, and nothing
// is stored.
func (s *Store) PatchAgent(ctx context.Context, tenant string, id uuid.UUID, change func(*omni.Agent) error) (*omni.Agent, error) {
	var out *omni.Agent
	err := s.inTx(ctx, func(_ pgx.Tx, q *dbsqlc.Queries) error {
		row, err := q.LockAgent(ctx, dbsqlc.LockAgentParams{ID: id, TenantID: tenant})
		if err != nil {
			return wrap(err, "reading agent "+id.String())
		}
		a, err := s.agent(row)
		if err != nil {
			return err
		}
		if err := change(a); err != nil {
			return err
		}
		config, sealed, err := s.agentColumns(a)
		if err != nil {
			return err
		}
		if row, err = q.UpdateAgent(ctx, dbsqlc.UpdateAgentParams{ID: id, Name: a.Name, Config: config, Secrets: sealed}); err != nil {
			return wrap(err, "storing agent "+id.String())
		}
		out, err = s.agent(row)
		return err
	})
	return out, err
}

// DeleteAgent hides an agent for good and forgets its key. One that a route or
// an instance still names stays: *omni.AgentInUse. ErrNotFound where there is
// none.
func (s *Store) DeleteAgent(ctx context.Context, tenant string, id uuid.UUID) error {
	return s.inTx(ctx, func(_ pgx.Tx, q *dbsqlc.Queries) error {
		if _, err := q.LockAgent(ctx, dbsqlc.LockAgentParams{ID: id, TenantID: tenant}); err != nil {
			return wrap(err, "reading agent "+id.String())
		}
		uses, err := q.AgentUses(ctx, id)
		if err != nil {
			return wrap(err, "looking for who needs agent "+id.String())
		}
		if uses.Routes+uses.Instances > 0 {
			return &omni.AgentInUse{Routes: int(uses.Routes), Instances: int(uses.Instances)}
		}
		return wrap(q.DeleteAgent(ctx, id), "deleting agent "+id.String())
	})
}

func (s *Store) agentColumns(a *omni.Agent) (config json.RawMessage, sealed []byte, err error) {
	if config, err = json.Marshal(a.Config); err != nil {
		return nil, nil, fmt.Errorf("encoding agent %s: %w", a.ID, err)
	}
	if a.APIKey == "" {
		return config, nil, nil
	}
	if s.box == nil {
		return nil, nil, errors.New("sealing secrets: no encryption key is configured (OMNI_ENCRYPTION_KEY)")
	}
	if sealed, err = s.box.Seal([]byte(a.APIKey), a.ID.String()); err != nil {
		return nil, nil, fmt.Errorf("sealing the key of agent %s: %w", a.ID, err)
	}
	return config, sealed, nil
}

// agent is a row with its key opened.
func (s *Store) agent(row dbsqlc.Agent) (*omni.Agent, error) {
	a := &omni.Agent{ID: row.ID, TenantID: row.TenantID, Name: row.Name, Version: row.Version, CreatedAt: row.CreatedAt,
		UpdatedAt: row.UpdatedAt, Config: omni.DefaultAgent()} // fields that a newer version added take their defaults
	if err := json.Unmarshal(row.Config, &a.Config); err != nil {
		return nil, fmt.Errorf("reading the configuration of agent %s: %w", row.ID, err)
	}
	if len(row.Secrets) == 0 {
		return a, nil
	}
	if s.box == nil {
		return nil, fmt.Errorf("reading agent %s: it has a key and no encryption key is configured (OMNI_ENCRYPTION_KEY)", row.ID)
	}
	key, err := s.box.Open(row.Secrets, row.ID.String())
	if err != nil {
		return nil, fmt.Errorf("reading agent %s: %w", row.ID, err)
	}
	a.APIKey = string(key)
	return a, nil
}
