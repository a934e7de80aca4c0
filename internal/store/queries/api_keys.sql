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

-- name: GetAPIKey :one
SELECT * FROM api_keys WHERE id = $1 AND tenant_id = $2 AND revoked_at IS NULL;

-- name: TouchAPIKey :exec
UPDATE api_keys SET last_used_at = now() WHERE id = $1;
