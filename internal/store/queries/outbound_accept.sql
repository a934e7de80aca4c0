-- name: ClaimIdempotencyKey :execrows
-- A key is free again after 24 hours.
INSERT INTO idempotency_keys AS k (tenant_id, key_hash, body_hash, message_id)
VALUES ($1, $2, $3, $4)
ON CONFLICT (tenant_id, key_hash) DO UPDATE
    SET body_hash = excluded.body_hash, message_id = excluded.message_id, created_at = now(), started_at = NULL
    WHERE k.created_at < now() - interval '24 hours';

-- name: GetIdempotencyKey :one
SELECT k.body_hash, k.message_id, k.started_at, m.status, m.instance_id, m.channel, m.chat_id, m.send_at, m.traceparent,
       m.part_count, c.external_id
FROM idempotency_keys k JOIN messages m ON m.id = k.message_id JOIN chats c ON c.id = m.chat_id
WHERE k.tenant_id = $1 AND k.key_hash = $2;

-- name: MessageExists :one
SELECT EXISTS (SELECT FROM messages WHERE id = $1);

-- name: EnsureChat :one
-- On many platforms the account's id is also the id of the chat with it: then it
-- is known whose the chat is. (Locked, so that no merge passes in between.)
WITH account AS (
    SELECT i.id, i.person_id FROM identities i WHERE i.id = sqlc.arg(account_id) AND sqlc.arg(type)::text = 'dm' FOR SHARE
)
INSERT INTO chats AS c (id, tenant_id, instance_id, channel, external_id, type, name, person_id, identity_id)
SELECT sqlc.arg(id)::uuid, sqlc.arg(tenant_id)::text, sqlc.arg(instance_id)::uuid, sqlc.arg(channel)::text, sqlc.arg(external_id)::text,
       sqlc.arg(type), sqlc.arg(name)::text, coalesce(a.person_id, sqlc.narg(person_id)::uuid), a.id
FROM (VALUES (1)) AS one (n) LEFT JOIN account a ON true
ON CONFLICT (id) DO UPDATE SET
    person_id = CASE WHEN c.identity_id IS NULL THEN coalesce(excluded.person_id, c.person_id) ELSE c.person_id END,
    identity_id = coalesce(c.identity_id, excluded.identity_id)
RETURNING person_id, identity_id;

-- name: InsertOutbound :exec
INSERT INTO messages (id, tenant_id, instance_id, channel, chat_id, person_id, identity_id, direction, kind, content, text, status,
                      reply_to, reply_to_external, correlation_id, traceparent, part_index, part_count, send_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, 'outbound', 'message', $8, $9, $10, $11, $12, $13, $14, $15, $16, $17);

-- name: MarkOutboundStarted :exec
UPDATE idempotency_keys SET started_at = now() WHERE tenant_id = $1 AND message_id = $2 AND started_at IS NULL;

-- name: UnstartedOutbound :many
SELECT k.tenant_id, k.message_id, m.status, m.instance_id, m.channel, m.chat_id, m.send_at, m.traceparent,
       m.part_count
FROM idempotency_keys k JOIN messages m ON m.id = k.message_id
WHERE k.started_at IS NULL AND k.created_at < now() - make_interval(secs => @older_than_secs::float8)
ORDER BY k.created_at
LIMIT @row_limit;

-- name: ForgetIdempotencyKeys :execrows
DELETE FROM idempotency_keys WHERE created_at < now() - interval '24 hours' AND started_at IS NOT NULL;

-- name: CancelScheduled :one
UPDATE messages SET status = 'cancelled', updated_at = clock_timestamp()
WHERE id = $1 AND tenant_id = $2 AND direction = 'outbound' AND status = 'scheduled'
RETURNING instance_id, channel, chat_id, person_id, correlation_id, traceparent, part_count;

-- name: LockChatOfMessage :exec
-- What is decided about a chat is decided under its row.
SELECT FROM chats WHERE chats.id = (SELECT m.chat_id FROM messages m WHERE m.id = $1) FOR NO KEY UPDATE;

-- name: UnstartedResumptions :many
SELECT r.id, r.tenant_id, r.message_id, m.instance_id, m.channel, m.chat_id, m.part_count, m.traceparent
FROM outbound_resumptions r JOIN messages m ON m.id = r.message_id
WHERE r.started_at IS NULL AND r.created_at < now() - make_interval(secs => @older_than_secs::float8)
ORDER BY r.created_at
LIMIT @row_limit;

-- name: MarkResumptionStarted :exec
UPDATE outbound_resumptions SET started_at = now() WHERE id = $1 AND started_at IS NULL;
