-- name: GetMessage :one
SELECT * FROM messages WHERE id = $1 AND tenant_id = $2 AND kind <> 'stub';

-- name: TurnReplies :many
SELECT * FROM messages WHERE turn_id = $1 AND direction = 'outbound' ORDER BY created_at, part_index; -- the fallback text before a later answer

-- name: GetTurn :one
SELECT * FROM turns WHERE id = $1 AND tenant_id = $2;

-- name: RelatedTurns :many
-- The turns whose messages a turn took over, and those that followed it up.
SELECT id, leader, workflow_id, state, epoch FROM turns WHERE yielded_to = sqlc.arg('turn')::uuid
UNION ALL
SELECT t.id, t.leader, t.workflow_id, t.state, t.epoch FROM follow_ups f JOIN turns t ON t.id = f.own_turn
WHERE f.turn_id = sqlc.arg('turn')::uuid
ORDER BY 1;

-- name: OutboundRuns :many
-- Why a message sent by API went on after its first workflow: somebody's word
-- on a part, or the retry of a dead letter. Each has a workflow of its own.
SELECT r.id, r.created_at FROM outbound_resumptions r WHERE r.message_id = sqlc.arg('first')::uuid
UNION ALL
SELECT d.id, d.retried_at FROM dead_letters d
WHERE d.message_id = ANY(sqlc.arg('parts')::uuid[]) AND d.turn_id IS NULL AND d.retried_at IS NOT NULL
ORDER BY 2;
