-- name: LedTurn :one
SELECT id, epoch FROM turns WHERE leader = sqlc.arg('message_id') AND chat_id = sqlc.arg('chat_id') AND follows IS NULL ORDER BY created_at DESC LIMIT 1;

-- name: InboundMessage :one
SELECT person_id, status, text, facts, kind, from_me, sender_platform_id, content, sent_at, access_decision, access_rule_id, access_reason, reply_to_external
FROM messages WHERE id = $1;

-- name: StrandedMessages :many
-- Recorded to be begun, but nobody has.
SELECT id, tenant_id, instance_id, channel, chat_id, kind, external_id, seq, traceparent, created_at
FROM messages
WHERE status = 'received' AND direction = 'inbound' AND kind IN ('message', 'reaction')
  AND created_at < clock_timestamp() - sqlc.arg('older_than')::interval
ORDER BY created_at LIMIT sqlc.arg('limit_to');

-- name: WroteMessage :one
-- Whether the account wrote the message that has this id on the platform.
SELECT EXISTS (SELECT FROM messages WHERE instance_id = $1 AND direction = 'outbound' AND external_id = $2 AND external_id <> ''
               AND chat_id = $3);

-- name: CheckMessage :one
-- Decided once per message; the first decision stands.
WITH m AS (
    UPDATE messages SET access_decision = sqlc.arg('decision')::text, access_rule_id = sqlc.narg('rule_id')::uuid,
        access_reason = sqlc.arg('reason'),
        status = CASE WHEN messages.status <> 'received' THEN messages.status
                      WHEN sqlc.arg('decision')::text = 'allow' THEN 'processing' ELSE 'denied' END,
        updated_at = clock_timestamp()
    WHERE messages.id = sqlc.arg('id') AND access_decision IS NULL
    RETURNING *
), said AS (
    INSERT INTO events (id, tenant_id, type, subject, instance_id, channel, chat_id, person_id, correlation_id, traceparent, data)
    SELECT uuid_v7(), m.tenant_id, 'access.checked', m.id::text, m.instance_id, m.channel, m.chat_id, m.person_id, m.id, m.traceparent,
           jsonb_build_object('messageId', m.id, 'chatId', m.chat_id, 'instanceId', m.instance_id, 'personId', m.person_id,
                              'decision', m.access_decision, 'ruleId', m.access_rule_id, 'reason', m.access_reason,
                              'mode', sqlc.arg('mode')::text)
           || step_data('access.Check', sqlc.arg('started_at')::timestamptz, sqlc.arg('attempt')::int)
    FROM m
)
SELECT m.access_decision::text AS decision, m.access_rule_id FROM m
UNION ALL
SELECT o.access_decision::text, o.access_rule_id FROM messages o WHERE o.id = sqlc.arg('id') AND NOT EXISTS (SELECT 1 FROM m);
