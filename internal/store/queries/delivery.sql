-- name: RenewSender :exec
WITH turn AS (
    UPDATE turns SET sender_until = clock_timestamp() + interval '15 seconds',
        due_at = greatest(due_at, clock_timestamp() + interval '60 seconds')
    WHERE turns.id = sqlc.arg('unit') AND sender = sqlc.arg('sender')::text
)
UPDATE chats SET delivering_until = clock_timestamp() + interval '15 seconds'
WHERE chats.id = sqlc.arg('chat_id') AND delivering = sqlc.arg('unit');
