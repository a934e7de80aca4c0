-- name: GetPerson :one
SELECT * FROM persons WHERE id = $1 AND tenant_id = $2;

-- name: PersonNow :one
-- Whom a person is today: somebody who was merged is whom they were merged into.
WITH RECURSIVE chain AS (
    SELECT @id::uuid AS id, 0 AS n
    UNION ALL
    SELECT m.target_person_id, c.n + 1
    FROM chain c JOIN merges m ON m.source_person_id = c.id AND m.tenant_id = @tenant_id AND m.absorbed IS NOT NULL AND m.undone_at IS NULL
    WHERE c.n < 100 AND NOT EXISTS (SELECT FROM persons p WHERE p.id = c.id)
)
SELECT p.id FROM chain c JOIN persons p ON p.id = c.id WHERE p.tenant_id = @tenant_id ORDER BY c.n DESC LIMIT 1;

-- name: PersonIdentities :many
SELECT * FROM identities WHERE person_id = $1 AND tenant_id = $2 ORDER BY last_seen_at DESC, id;

-- name: PersonDM :one
-- The chat that a person last wrote in alone, on one instance.
SELECT * FROM chats
WHERE instance_id = $1 AND person_id = $2 AND type = 'dm'
ORDER BY last_message_at DESC NULLS LAST, updated_at DESC
LIMIT 1;
