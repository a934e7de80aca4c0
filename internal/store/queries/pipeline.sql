-- name: ResolveMessage :one
-- The person of a message. The first call of a message says so in the log.
WITH m AS (
    UPDATE messages SET resolved_at = clock_timestamp() WHERE messages.id = sqlc.arg('id') AND resolved_at IS NULL
    RETURNING *
), said AS (
    INSERT INTO events (id, tenant_id, type, subject, instance_id, channel, chat_id, person_id, correlation_id, traceparent, data)
    SELECT uuid_v7(), m.tenant_id, 'identity.resolved', coalesce(m.person_id::text, ''), m.instance_id, m.channel, m.chat_id,
           m.person_id, m.id, m.traceparent,
           jsonb_build_object('messageId', m.id, 'chatId', m.chat_id, 'instanceId', m.instance_id, 'personId', m.person_id,
                              'identityId', m.identity_id)
           || step_data('identity.Resolve', sqlc.arg('started_at')::timestamptz, sqlc.arg('attempt')::int)
    FROM m
)
SELECT m.person_id, m.status, m.text, m.facts, m.kind, m.from_me, m.sender_platform_id, m.content, m.sent_at FROM m
UNION ALL
SELECT o.person_id, o.status, o.text, o.facts, o.kind, o.from_me, o.sender_platform_id, o.content, o.sent_at
FROM messages o WHERE o.id = sqlc.arg('id') AND NOT EXISTS (SELECT 1 FROM m);

-- name: LedTurn :one
SELECT id, epoch FROM turns WHERE leader = sqlc.arg('message_id') AND chat_id = sqlc.arg('chat_id') AND follows IS NULL ORDER BY created_at DESC LIMIT 1;

-- name: MessageForJoin :one
SELECT person_id, status, text, facts, kind, from_me, sender_platform_id, content, sent_at FROM messages WHERE id = $1;

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
