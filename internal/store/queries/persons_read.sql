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

-- name: PersonAddresses :many
-- The accounts of a person on instances that are there, with their last use and
-- the chat with each: of their newest messages, who wrote where.
WITH recent AS (
    SELECT m.identity_id, m.chat_id, m.created_at FROM messages m
    WHERE m.person_id = @person_id AND m.direction = 'inbound' AND m.kind <> 'stub' AND m.identity_id IS NOT NULL
    ORDER BY m.created_at DESC, m.id DESC LIMIT 200
), used AS (
    SELECT r.identity_id, max(r.created_at)::timestamptz AS at FROM recent r GROUP BY r.identity_id
), alone AS (
    SELECT DISTINCT ON (r.identity_id) r.identity_id, c.external_id, c.name
    FROM recent r JOIN chats c ON c.id = r.chat_id AND c.type = 'dm'
    ORDER BY r.identity_id, r.created_at DESC
)
SELECT i.id, i.instance_id, i.platform_user_id, i.name, i.last_seen_at, n.status, n.disabled, u.at AS used_at,
       coalesce(a.external_id, d.external_id, '')::text AS chat_external_id, coalesce(a.name, d.name, '')::text AS chat_name
FROM identities i
JOIN instances n ON n.id = i.instance_id AND n.deleted_at IS NULL
LEFT JOIN used u ON u.identity_id = i.id
LEFT JOIN alone a ON a.identity_id = i.id
LEFT JOIN LATERAL (
    SELECT c.external_id, c.name FROM chats c
    WHERE c.person_id = i.person_id AND c.identity_id = i.id AND c.type = 'dm'
    ORDER BY c.created_at DESC LIMIT 1
) d ON true
WHERE i.person_id = @person_id AND i.tenant_id = @tenant_id;

-- name: LockPerson :one
SELECT * FROM persons WHERE id = $1 AND tenant_id = $2 FOR NO KEY UPDATE;

-- name: UpdatePerson :one
UPDATE persons SET display_name = $3, phone = $4, email = $5, notes = $6, labels = $7, preferred_identity_id = $8, updated_at = clock_timestamp()
WHERE id = $1 AND tenant_id = $2
RETURNING *;

-- name: PersonChats :many
-- The chats with a person alone, and those that they wrote in of late.
SELECT c.id, c.instance_id FROM chats c WHERE c.person_id = @person_id AND c.tenant_id = @tenant_id
UNION
SELECT r.chat_id, r.instance_id FROM (
    SELECT m.chat_id, m.instance_id FROM messages m
    WHERE m.person_id = @person_id AND m.tenant_id = @tenant_id AND m.direction = 'inbound' ORDER BY m.created_at DESC, m.id DESC LIMIT 100) r
LIMIT 50;

-- name: SawIdentity :exec
UPDATE identities SET last_seen_at = greatest(last_seen_at, @at::timestamptz) WHERE id = @id AND tenant_id = @tenant_id;
