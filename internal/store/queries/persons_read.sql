-- name: GetPerson :one
SELECT * FROM persons WHERE id = $1 AND tenant_id = $2;

-- name: PersonIdentities :many
SELECT * FROM identities WHERE person_id = $1 AND tenant_id = $2 ORDER BY last_seen_at DESC, id;

-- name: PersonDM :one
-- The chat that a person last wrote in alone, on one instance.
SELECT * FROM chats
WHERE instance_id = $1 AND person_id = $2 AND type = 'dm'
ORDER BY last_message_at DESC NULLS LAST, updated_at DESC
LIMIT 1;
