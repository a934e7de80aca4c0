-- name: InsertInstance :one
INSERT INTO instances (id, tenant_id, name, channel, settings, channel_config, secrets, status, disabled)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
RETURNING *;

-- name: GetInstance :one
SELECT sqlc.embed(instances), EXISTS (SELECT FROM agent_routes r WHERE r.instance_id = instances.id) AS routed
FROM instances WHERE instances.id = $1 AND instances.deleted_at IS NULL;

-- name: LockInstance :one
SELECT * FROM instances WHERE id = $1 AND tenant_id = $2 AND deleted_at IS NULL FOR UPDATE;

-- name: UpdateInstance :one
UPDATE instances
SET name = $2, settings = $3, channel_config = $4, secrets = $5, status = $6, status_reason = $7, disabled = $8,
    version = version + 1, updated_at = now()
WHERE id = $1
RETURNING *;

-- name: ListInstances :many
SELECT * FROM instances
WHERE tenant_id = @tenant_id AND deleted_at IS NULL
  AND (sqlc.narg('channel')::text IS NULL OR channel = sqlc.narg('channel')::text)
  AND (sqlc.narg('status')::text IS NULL OR status = sqlc.narg('status')::text)
  AND (@all_ids::bool OR id = ANY (@ids::uuid[]))
  AND (sqlc.narg('after_at')::timestamptz IS NULL
       OR (created_at, id) < (sqlc.narg('after_at')::timestamptz, sqlc.narg('after_id')::uuid))
ORDER BY created_at DESC, id DESC
LIMIT @row_limit;

-- name: ConnectableInstances :many
SELECT * FROM instances WHERE deleted_at IS NULL AND NOT disabled ORDER BY id;

-- name: DeleteInstance :one
UPDATE instances
SET deleted_at = now(), updated_at = now(), disabled = true, status = 'inactive', status_reason = 'deleted',
    secrets = NULL, version = version + 1
WHERE id = $1 AND tenant_id = $2 AND deleted_at IS NULL
RETURNING channel;

-- name: SetInstanceState :one
-- Answers whether the state is another one than before: reports repeat.
WITH before AS (SELECT i.id, i.status, i.status_reason FROM instances i WHERE i.id = $1 AND i.deleted_at IS NULL FOR UPDATE)
UPDATE instances i
SET status = @status, updated_at = now(),
    -- Why an instance was disconnected by call is known better here than by its session.
    status_reason = CASE WHEN i.disabled AND @status::text = 'inactive' AND @status_reason::text = '' THEN i.status_reason
                         ELSE @status_reason::text END,
    last_connected_at = CASE WHEN @status::text = 'active' AND (b.status <> 'active' OR i.last_connected_at IS NULL) THEN now() ELSE i.last_connected_at END
FROM before b
WHERE i.id = b.id
RETURNING i.tenant_id, i.channel, (b.status <> i.status OR b.status_reason <> i.status_reason)::bool AS changed;
