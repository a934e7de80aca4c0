-- name: GetChat :one
SELECT * FROM chats WHERE id = $1 AND tenant_id = $2;
