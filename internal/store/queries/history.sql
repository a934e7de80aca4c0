-- name: ChatHistoryAfter :many
-- What people see of a chat from a message on, as it reads now: what came in,
-- and what went out or is going out. An outbound row exists before it is sent,
-- so its place in the conversation is the moment it was sent. What was deleted
-- meanwhile is named.
SELECT id, direction, content, part_index, part_count, external_id, shown_at::timestamptz AS shown_at, deleted FROM (
    SELECT m.id, m.direction, m.content, m.part_index, m.part_count, m.external_id, (m.deleted_at IS NOT NULL)::boolean AS deleted,
           CASE WHEN m.direction = 'outbound' THEN coalesce(m.sent_at, m.updated_at) ELSE m.created_at END AS shown_at
    FROM messages m
    WHERE m.chat_id = $1 AND m.kind = 'message'
      AND (m.direction = 'inbound' OR m.status IN ('sending', 'sent', 'delivered', 'read', 'unknown'))
) shown
WHERE (shown_at, id) >= (
    SELECT CASE WHEN a.direction = 'outbound' THEN coalesce(a.sent_at, a.updated_at) ELSE a.created_at END, a.id
    FROM messages a WHERE a.id = $2 AND a.chat_id = $1)
ORDER BY shown_at, id
LIMIT $3;

-- name: ChatHistoryNewest :many
SELECT m.id, m.direction, m.content, m.part_index, m.part_count, m.external_id,
       (CASE WHEN m.direction = 'outbound' THEN coalesce(m.sent_at, m.updated_at) ELSE m.created_at END)::timestamptz AS shown_at,
       false::boolean AS deleted
FROM messages m
WHERE m.chat_id = $1 AND m.kind = 'message' AND m.deleted_at IS NULL
  AND (m.direction = 'inbound' OR m.status IN ('sending', 'sent', 'delivered', 'read', 'unknown'))
ORDER BY shown_at DESC, m.id DESC
LIMIT $2;
