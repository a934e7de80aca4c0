package store

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/omnihub/omni/internal/omni"
)

// agentCalls are the calls in an agent's last turns. A turn that is retried has
// several.
const agentCalls = `
SELECT x.agent, t.id, e.time, coalesce((e.data ->> 'agentMs')::int, 0), coalesce(e.data ->> 'error', ''),
    coalesce((e.data ->> 'final')::boolean, false)
FROM unnest($1::text[]) AS x(agent)
CROSS JOIN LATERAL (SELECT id, leader FROM turns
                    WHERE agent = x.agent AND agent <> 'instance' ORDER BY created_at DESC LIMIT $2) t
JOIN events e ON e.correlation_id = t.leader AND e.type IN ('agent.response', 'agent.error')
    AND e.data ->> 'turnId' = t.id::text AND NOT e.data ?| ARRAY['fallback', 'gated']
ORDER BY e.time DESC`

// healthTurns is how many of an agent's last turns its health is read from.
const healthTurns = 50

// AgentHealth says how agents did of late, by id. Those that were not asked
// are not in it.
func (s *Store) AgentHealth(ctx context.Context, agents []uuid.UUID) (map[uuid.UUID]omni.AgentHealth, error) {
	keys := make([]string, len(agents))
	for i, id := range agents {
		keys[i] = id.String()
	}
	rows, err := s.pool.Query(ctx, agentCalls, keys, healthTurns)
	if err != nil {
		return nil, wrap(err, "reading how agents did")
	}
	defer rows.Close()
	calls := map[uuid.UUID][]omni.AgentCall{}
	for rows.Next() {
		var agent uuid.UUID
		var c omni.AgentCall
		var ms int
		if err := rows.Scan(&agent, &c.TurnID, &c.At, &ms, &c.Error, &c.Final); err != nil {
			return nil, wrap(err, "reading how agents did")
		}
		c.At, c.Took = c.At.UTC(), time.Duration(ms)*time.Millisecond
		calls[agent] = append(calls[agent], c)
	}
	if err := rows.Err(); err != nil {
		return nil, wrap(err, "reading how agents did")
	}
	health := make(map[uuid.UUID]omni.AgentHealth, len(calls))
	for id, list := range calls {
		health[id] = omni.HealthOf(list)
	}
	return health, nil
}
