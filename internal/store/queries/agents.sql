-- name: InsertAgent :one
INSERT INTO agents (id, tenant_id, name, config, secrets) VALUES ($1, $2, $3, $4, $5) RETURNING *;

-- name: GetAgent :one
SELECT * FROM agents WHERE id = $1 AND deleted_at IS NULL;

-- name: LockAgent :one
SELECT * FROM agents WHERE id = $1 AND tenant_id = $2 AND deleted_at IS NULL FOR UPDATE;

-- name: ShareAgent :one
SELECT id FROM agents WHERE id = $1 AND tenant_id = $2 AND deleted_at IS NULL FOR SHARE;

-- name: UpdateAgent :one
UPDATE agents SET name = $2, config = $3, secrets = $4, version = version + 1, updated_at = now() WHERE id = $1 RETURNING *;

-- name: DeleteAgent :exec
UPDATE agents SET deleted_at = now(), updated_at = now(), secrets = NULL, version = version + 1 WHERE id = $1;

-- name: ListAgents :many
SELECT * FROM agents
WHERE tenant_id = @tenant_id AND deleted_at IS NULL
  AND (sqlc.narg('after_at')::timestamptz IS NULL
       OR (created_at, id) < (sqlc.narg('after_at')::timestamptz, sqlc.narg('after_id')::uuid))
ORDER BY created_at DESC, id DESC
LIMIT @row_limit;

-- name: AgentUses :one
-- Who needs an agent.
SELECT (SELECT count(*) FROM agent_routes r WHERE r.agent_id = @agent_id::uuid)::int AS routes,
       (SELECT count(*) FROM instances i
        WHERE i.settings ->> 'agentId' = (@agent_id::uuid)::text AND i.settings ? 'agentId' AND i.deleted_at IS NULL)::int AS instances;

-- name: InsertRoute :one
INSERT INTO agent_routes (id, tenant_id, instance_id, agent_id, chat_id, person_id, chat_type, priority)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
RETURNING *;

-- name: InstanceRoutes :many
-- An agent's tenant is its instance's.
SELECT * FROM agent_routes WHERE instance_id = $1 ORDER BY created_at DESC, id DESC;

-- name: CountRoutes :one
SELECT count(*)::int FROM agent_routes WHERE instance_id = $1;

-- name: DeleteRoutes :execrows
DELETE FROM agent_routes
WHERE tenant_id = @tenant_id AND instance_id = @instance_id
  AND (sqlc.narg('id')::uuid IS NULL OR id = sqlc.narg('id'))
  AND (sqlc.narg('chat_id')::uuid IS NULL OR chat_id = sqlc.narg('chat_id'))
  AND (sqlc.narg('person_id')::uuid IS NULL OR person_id = sqlc.narg('person_id'))
  AND (sqlc.narg('chat_type')::text IS NULL OR chat_type = sqlc.narg('chat_type'))
  AND num_nonnulls(sqlc.narg('id')::uuid, sqlc.narg('chat_id')::uuid, sqlc.narg('person_id')::uuid, sqlc.narg('chat_type')::text) > 0;

-- name: TurnAgent :one
SELECT agent FROM turns WHERE id = $1;
