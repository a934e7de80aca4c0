-- name: GetMedia :one
SELECT * FROM media WHERE id = $1 AND tenant_id = $2;

-- name: MediaOfMessage :many
SELECT idx FROM media WHERE message_id = $1 ORDER BY idx;
