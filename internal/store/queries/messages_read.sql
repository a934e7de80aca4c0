-- name: GetMessage :one
SELECT * FROM messages WHERE id = $1 AND tenant_id = $2 AND kind <> 'stub';

-- name: TurnReplies :many
SELECT * FROM messages WHERE turn_id = $1 AND direction = 'outbound' ORDER BY created_at, part_index; -- the fallback text before a later answer

-- name: GetTurn :one
SELECT * FROM turns WHERE id = $1 AND tenant_id = $2;
