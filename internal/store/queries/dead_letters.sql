-- name: GetDeadLetter :one
SELECT * FROM dead_letters WHERE id = $1 AND tenant_id = $2;

-- name: ResolveDeadLetter :execrows
UPDATE dead_letters SET status = 'resolved', resolved_at = clock_timestamp() WHERE id = $1 AND tenant_id = $2 AND status = 'open';

-- name: MarkDeadLetterStarted :exec
-- What goes on with a retried dead letter exists. A poison event is retried
-- once it is published again.
UPDATE dead_letters SET status = 'retried', retried_at = coalesce(retried_at, clock_timestamp()), started_at = clock_timestamp()
WHERE id = $1 AND tenant_id = $2 AND status IN ('open', 'retried') AND started_at IS NULL;

-- name: UnstartedDeadLetters :many
SELECT tenant_id, id FROM dead_letters
WHERE status = 'retried' AND started_at IS NULL AND retried_at < now() - make_interval(secs => @older_than_secs::float8)
ORDER BY retried_at
LIMIT @row_limit;
