package store

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/store/dbsqlc"
)

// InstanceRoutes reads the routes of an instance, in the order in which they
// are looked at.
func (s *Store) InstanceRoutes(ctx context.Context, instance uuid.UUID) ([]omni.AgentRoute, error) {
	rows, err := s.q.InstanceRoutes(ctx, instance)
	if err != nil {
		return nil, wrap(err, "reading the routes of instance "+instance.String())
	}
	routes := make([]omni.AgentRoute, len(rows))
	for i, row := range rows {
		routes[i] = agentRoute(row)
	}
	omni.SortRoutes(routes)
	return routes, nil
}

// CreateRoute stores a route of the tenant. Its agent is of the tenant, or
// ErrNotFound; omni.ErrTooManyRoutes where the instance has limit of them.
func (s *Store) CreateRoute(ctx context.Context, tenant string, r omni.AgentRoute, limit int) (*omni.AgentRoute, error) {
	var out omni.AgentRoute
	err := s.inTx(ctx, func(_ pgx.Tx, q *dbsqlc.Queries) error {
		if _, err := q.LockInstance(ctx, dbsqlc.LockInstanceParams{ID: r.InstanceID, TenantID: tenant}); err != nil {
			return wrap(err, "reading instance "+r.InstanceID.String())
		}
		if _, err := q.ShareAgent(ctx, dbsqlc.ShareAgentParams{ID: r.AgentID, TenantID: tenant}); err != nil {
			return wrap(err, "reading agent "+r.AgentID.String())
		}
		n, err := q.CountRoutes(ctx, r.InstanceID)
		if err != nil {
			return wrap(err, "counting routes")
		}
		if int(n) >= limit {
			return omni.ErrTooManyRoutes
		}
		row, err := q.InsertRoute(ctx, dbsqlc.InsertRouteParams{ID: r.ID, TenantID: tenant, InstanceID: r.InstanceID, AgentID: r.AgentID,
			ChatID: nullUUID(r.ChatID), PersonID: nullUUID(r.PersonID), ChatType: optional(string(r.ChatType)), Priority: int32(r.Priority)})
		out = agentRoute(row)
		return wrap(err, "storing a route")
	})
	if err != nil {
		return nil, err
	}
	return &out, nil
}

// DeleteRoutes deletes the routes of an instance that f fits, and returns how
// many: none without a condition.
func (s *Store) DeleteRoutes(ctx context.Context, tenant string, instance uuid.UUID, f omni.RouteFilter) (int, error) {
	n, err := s.q.DeleteRoutes(ctx, dbsqlc.DeleteRoutesParams{TenantID: tenant, InstanceID: instance, ID: nullUUID(f.ID),
		ChatID: nullUUID(f.ChatID), PersonID: nullUUID(f.PersonID), ChatType: optional(string(f.ChatType))})
	return int(n), wrap(err, "deleting routes of instance "+instance.String())
}

// TurnAgent reads which agent answers a turn: omni.InstanceAgent or an id.
// ErrNotFound where there is no such turn.
func (s *Store) TurnAgent(ctx context.Context, turn uuid.UUID) (string, error) {
	agent, err := s.q.TurnAgent(ctx, turn)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", ErrNotFound
	}
	return agent, wrap(err, "reading the agent of turn "+turn.String())
}

func agentRoute(row dbsqlc.AgentRoute) omni.AgentRoute {
	return omni.AgentRoute{ID: row.ID, InstanceID: row.InstanceID, AgentID: row.AgentID, ChatID: idOf(row.ChatID),
		PersonID: idOf(row.PersonID), ChatType: message.ChatType(deref(row.ChatType)), Priority: int(row.Priority), CreatedAt: row.CreatedAt}
}
