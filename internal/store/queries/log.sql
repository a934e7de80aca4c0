-- name: EventsAfter :many
-- Only rows of transactions older than every running one: among those nothing
-- can appear behind the reader any more. Tenant "" is every tenant. What was not
-- written with a trace of its own belongs to that of the message that began it.
SELECT seq::bigint AS position_seq, (xid::text)::text AS position_xid, id, tenant_id, type, time, subject, instance_id, channel, chat_id, person_id,
       correlation_id, causation_id,
       coalesce(nullif(traceparent, ''), (SELECT m.traceparent FROM messages m WHERE m.id = events.correlation_id), '')::text AS traceparent, dataversion, data
FROM events
WHERE (xid, seq) > (sqlc.arg(after_xid)::text::xid8, sqlc.arg(after_seq)::bigint)
  AND xid < pg_snapshot_xmin(pg_current_snapshot())
  AND (sqlc.arg(tenant)::text = '' OR tenant_id = sqlc.arg(tenant)::text)
ORDER BY xid, seq
LIMIT sqlc.arg(row_limit);

-- name: LogHead :one
SELECT (xid::text)::text AS position_xid, seq::bigint AS position_seq
FROM events
WHERE xid < pg_snapshot_xmin(pg_current_snapshot())
ORDER BY xid DESC, seq DESC
LIMIT 1;

-- name: ReadRelayCursor :one
SELECT xid, seq FROM relay_cursor WHERE name = $1;

-- name: MoveRelayCursor :exec
-- Never back: a relay that lost its lead unknowingly must not undo its successor.
INSERT INTO relay_cursor AS c (name, xid, seq) VALUES ($1, $2, $3)
ON CONFLICT (name) DO UPDATE SET xid = excluded.xid, seq = excluded.seq
    WHERE (c.xid::xid8, c.seq) < (excluded.xid::xid8, excluded.seq);
