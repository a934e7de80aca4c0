-- name: OverdueTurns :many
SELECT id, tenant_id, instance_id, channel, chat_id, leader, workflow_id, epoch
FROM turns
WHERE finished_at IS NULL AND due_at < now()
  AND (sqlc.narg('only')::uuid IS NULL OR id = sqlc.narg('only'))
ORDER BY due_at
LIMIT sqlc.arg('limit_to');

-- name: PostponeTurn :exec
UPDATE turns SET due_at = clock_timestamp() + sqlc.arg('by')::interval WHERE id = sqlc.arg('id') AND state IN ('collecting', 'answering', 'reopened');

-- name: ParkedTurns :many
-- Held for want of knowing, and nothing of it is unknown any more.
SELECT t.id, t.chat_id FROM turns t
WHERE t.outcome = 'unknown' AND t.finished_at > now() - interval '7 days'
  AND NOT EXISTS (SELECT FROM messages m WHERE m.turn_id = t.id AND m.direction = 'outbound' AND m.status = 'unknown')
ORDER BY t.finished_at
LIMIT sqlc.arg('limit_to');

-- name: DoubtPart :exec
UPDATE messages SET doubtful = true WHERE id = $1 AND status = 'sending' AND NOT doubtful;

-- name: TurnYieldedTo :one
-- Where the messages of an interrupted turn are now. A follow-up has none.
SELECT o.id, o.leader FROM turns t JOIN turns o ON o.id = t.yielded_to WHERE t.id = $1 AND t.follows IS NULL;
