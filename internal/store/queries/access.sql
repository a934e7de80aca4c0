-- name: InsertAccessRule :one
INSERT INTO access_rules (id, tenant_id, instance_id, type, person_id, match, match_key, priority, reason, notice, expires_at, schedule,
                          rate_count, rate_seconds, source)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
RETURNING *;

-- name: UpdateAccessRule :one
UPDATE access_rules SET instance_id = $2, type = $3, person_id = $4, match = $5, match_key = $6, priority = $7, reason = $8, notice = $9,
    expires_at = $10, schedule = $11, rate_count = $12, rate_seconds = $13, updated_at = clock_timestamp()
WHERE id = $1
RETURNING *;

-- name: GetAccessRule :one
SELECT * FROM access_rules WHERE id = $1 AND tenant_id = $2;

-- name: LockAccessRule :one
SELECT * FROM access_rules WHERE id = $1 AND tenant_id = $2 FOR UPDATE;

-- name: DeleteAccessRule :one
WITH gone AS (
    DELETE FROM access_rules r WHERE r.id = $1 AND r.tenant_id = $2 RETURNING *
), buckets AS (
    DELETE FROM access_buckets b USING gone WHERE b.rule_id = gone.id
), notices AS (
    DELETE FROM access_notices n USING gone WHERE n.rule_id = gone.id
)
SELECT * FROM gone;

-- name: AccessTokens :one
-- What is in a bucket at a time.
SELECT access_tokens(tokens, filled_at, @at, @count, @per_seconds)::float8 AS tokens FROM access_buckets
WHERE rule_id = @rule_id AND identity_id = @identity_id AND tenant_id = @tenant_id;

-- name: ForgetAccess :exec
-- What has no effect any more: full buckets, notices that may be repeated,
-- pairings whose hour is over.
WITH buckets AS (
    DELETE FROM access_buckets b
    WHERE b.filled_at < now() - interval '1 hour'
      AND NOT EXISTS (SELECT FROM access_rules r WHERE r.id = b.rule_id
                      AND b.filled_at > clock_timestamp() - make_interval(secs => r.rate_seconds))
), notices AS (
    DELETE FROM access_notices WHERE told_at < now() - interval '24 hours'
)
UPDATE access_pairings SET status = 'expired', decided_at = expires_at WHERE status = 'open' AND expires_at <= clock_timestamp();

-- name: InstanceChannel :one
SELECT channel FROM instances WHERE id = $1;
