-- name: LedTurn :one
SELECT id, epoch FROM turns WHERE leader = sqlc.arg('message_id') AND chat_id = sqlc.arg('chat_id') AND follows IS NULL ORDER BY created_at DESC LIMIT 1;

-- name: InboundMessage :one
SELECT person_id, status, text, facts, kind, from_me, sender_platform_id, content, sent_at, access_decision, access_rule_id, access_reason, reply_to_external,
       CASE WHEN access_decision IS NULL THEN access_question(id) END::json AS question
FROM messages WHERE id = $1;

-- name: StrandedMessages :many
-- Recorded to be begun, but nobody has.
SELECT id, tenant_id, instance_id, channel, chat_id, kind, external_id, seq, traceparent, created_at
FROM messages
WHERE untaken AND kind IN ('message', 'reaction')
  AND created_at < now() - sqlc.arg('older_than')::interval
ORDER BY created_at LIMIT sqlc.arg('limit_to');

-- name: WroteMessage :one
-- Whether the account wrote the message that has this id on the platform.
SELECT EXISTS (SELECT FROM messages WHERE instance_id = $1 AND direction = 'outbound' AND external_id = $2 AND external_id <> ''
               AND chat_id = $3);
