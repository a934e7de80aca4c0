-- name: GetDeadLetter :one
SELECT * FROM dead_letters WHERE id = $1 AND tenant_id = $2;
