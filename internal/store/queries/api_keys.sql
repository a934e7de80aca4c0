-- name: EnsureTenant :exec
INSERT INTO tenants (name) VALUES ($1) ON CONFLICT (name) DO NOTHING;

-- name: LockTenant :exec
-- Held for whatever must not be decided twice at once about a tenant's keys.
SELECT FROM tenants WHERE name = $1 FOR NO KEY UPDATE;

-- name: ListTenants :many
SELECT * FROM tenants
WHERE sqlc.narg('after_at')::timestamptz IS NULL
   OR (created_at, id) < (sqlc.narg('after_at')::timestamptz, sqlc.narg('after_id')::uuid)
ORDER BY created_at DESC, id DESC
LIMIT @row_limit;

-- name: InsertAPIKey :one
INSERT INTO api_keys (id, tenant_id, name, prefix, hash, scopes, instance_ids, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
RETURNING *;

-- name: APIKeyByHash :one
SELECT * FROM api_keys WHERE hash = $1 AND revoked_at IS NULL;

-- name: RevokeAPIKey :one
UPDATE api_keys SET revoked_at = now()
WHERE id = $1 AND tenant_id = $2 AND revoked_at IS NULL
RETURNING hash;

-- name: RotateAPIKey :one
-- Only while it is the key that was read: of two rotations at once one is refused.
UPDATE api_keys SET hash = @new_hash, prefix = @prefix
WHERE id = @id AND tenant_id = @tenant_id AND revoked_at IS NULL AND prefix = @old_prefix
RETURNING *;

-- name: OtherAdminKeys :one
-- Whether a tenant keeps a key that may do everything without this one.
SELECT EXISTS (SELECT FROM api_keys
    WHERE tenant_id = $1 AND id <> $2 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
      AND instance_ids IS NULL AND 'admin' = ANY (scopes));

-- name: GetAPIKey :one
SELECT * FROM api_keys WHERE id = $1 AND tenant_id = $2 AND revoked_at IS NULL;

-- name: GetAPIKeyEver :one
SELECT * FROM api_keys WHERE id = $1 AND tenant_id = $2;

-- name: TouchAPIKey :exec
UPDATE api_keys SET last_used_at = now() WHERE id = $1;

-- name: InsertKeyAudit :exec
INSERT INTO key_audit (id, tenant_id, key_id, method, route, path, status, request_id, address, created_at)
SELECT unnest(@ids::uuid[]), unnest(@tenants::text[]), unnest(@keys::uuid[]), unnest(@methods::text[]), unnest(@routes::text[]),
       unnest(@paths::text[]), unnest(@statuses::int[]), unnest(@request_ids::text[]), unnest(@addresses::text[]),
       unnest(@times::timestamptz[])
ON CONFLICT (id) DO NOTHING;

-- name: ListKeyAudit :many
SELECT * FROM key_audit
WHERE tenant_id = @tenant_id AND key_id = @key_id
  AND (sqlc.narg('after_at')::timestamptz IS NULL
       OR (created_at, id) < (sqlc.narg('after_at')::timestamptz, sqlc.narg('after_id')::uuid))
ORDER BY created_at DESC, id DESC
LIMIT @row_limit;

-- name: ForgetOldKeyAudit :execrows
DELETE FROM key_audit WHERE created_at < now() - make_interval(days => @days::int);

-- name: TrimKeyAudit :execrows
-- The newest of each key stay.
DELETE FROM key_audit a USING (
    SELECT k.key_id, (SELECT b.created_at FROM key_audit b WHERE b.key_id = k.key_id
                      ORDER BY b.created_at DESC, b.id DESC OFFSET @keep::int LIMIT 1) AS cut
    FROM (SELECT key_id FROM key_audit GROUP BY key_id HAVING count(*) > @keep::int) k
) old
WHERE a.key_id = old.key_id AND a.created_at <= old.cut;
