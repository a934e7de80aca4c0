-- name: FollowUpsOfTurn :many
-- The follow-ups of a turn whose workflow is not known to exist.
SELECT turn_id, n, tenant_id, instance_id, channel, chat_id, leader, due_at, armed_at
FROM follow_ups
WHERE turn_id = $1 AND state = 'scheduled' AND armed_at IS NULL
ORDER BY n;

-- name: UncheckedFollowUps :many
-- Those that somebody should look after: not armed, or due for a while.
SELECT turn_id, n, tenant_id, instance_id, channel, chat_id, leader, due_at, armed_at
FROM follow_ups
WHERE waits_until < now()
ORDER BY waits_until
LIMIT $1;

-- name: FollowUpArmed :exec
UPDATE follow_ups SET armed_at = coalesce(armed_at, clock_timestamp()), check_at = greatest(due_at, clock_timestamp()) + interval '2 minutes'
WHERE turn_id = $1 AND n = $2 AND state = 'scheduled';

-- name: FollowUpsAfter :many
-- For a message's trace: the workflows of what followed its turn.
SELECT n FROM follow_ups WHERE turn_id = $1 ORDER BY n;
