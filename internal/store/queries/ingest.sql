-- name: Floor :one
SELECT floor FROM ingest_floor WHERE stream = $1;

-- name: RaiseFloor :exec
INSERT INTO ingest_floor (stream, floor) VALUES ($1, $2)
ON CONFLICT (stream) DO UPDATE SET floor = greatest(ingest_floor.floor, excluded.floor);

-- name: InsertPoison :exec
INSERT INTO dead_letters (id, tenant_id, instance_id, chat_id, message_id, step, error, attempts, input)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (id) DO NOTHING;

-- name: RecordedPlaces :many
-- Where in the stream these messages were recorded from. A stub is not the
-- message yet. Edits and deletes keep no place, only the time: those count as
-- recorded (place 0) once the stream has forgotten them.
SELECT m.id, m.seq FROM messages m
WHERE m.id = ANY(sqlc.arg(ids)::uuid[]) AND m.kind <> 'stub'
UNION ALL
SELECT a.id, 0::bigint FROM applied_events a
WHERE a.id = ANY(sqlc.arg(ids)::uuid[]) AND a.applied_at < now() - make_interval(secs => sqlc.arg(older_than_seconds)::float8);
