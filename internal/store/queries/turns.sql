-- name: OverdueTurns :many
SELECT id, tenant_id, instance_id, channel, chat_id, leader, workflow_id, epoch
FROM turns
WHERE state IN ('collecting', 'answering', 'reopened') AND due_at < clock_timestamp()
  AND (sqlc.narg('only')::uuid IS NULL OR id = sqlc.narg('only'))
ORDER BY due_at
LIMIT sqlc.arg('limit_to');

-- name: PostponeTurn :exec
UPDATE turns SET due_at = clock_timestamp() + sqlc.arg('by')::interval WHERE id = sqlc.arg('id') AND state IN ('collecting', 'answering', 'reopened');
