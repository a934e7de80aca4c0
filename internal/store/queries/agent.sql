-- name: AgentTurn :one
-- What the step that answers must know of its turn, and the chat's past before
-- the batch where the agent's session is the chat. The past is what people
-- saw: parts that were delivered, not what was generated.
SELECT
    (CASE WHEN t.workflow_id <> sqlc.arg('workflow_id')::text THEN 'adopted'
          WHEN t.state = 'cancelled' THEN 'cancelled'
          WHEN t.state <> 'answering' THEN 'finished'
          WHEN t.epoch <> sqlc.arg('epoch')::int THEN 'adopted'
          ELSE 'closed' END)::text AS state,
    t.part_count, t.answer, t.awaiting, (t.follows IS NOT NULL)::boolean AS follow_up, t.gate, t.session_key, c.external_id, c.type, c.name, c.person_id,
    coalesce((SELECT p.display_name FROM persons p WHERE p.id = c.person_id), '')::text AS person_name,
    chat_past(t, c, sqlc.arg('past')::int, sqlc.arg('within')::interval)::jsonb AS history
FROM turns t JOIN chats c ON c.id = t.chat_id
WHERE t.id = sqlc.arg('turn_id');

-- name: SessionHistory :one
-- The past of an agent session that is one person's.
SELECT session_past(sqlc.arg('session_key')::text, sqlc.arg('turn_id')::uuid, sqlc.arg('past')::int, sqlc.arg('within')::interval)::jsonb AS history;

-- name: AwaitingWorkflow :one
-- The workflow that waits, or waited when the turn ended, for an answer.
SELECT workflow_id FROM turns WHERE id = $1 AND awaiting;

-- name: TurnOwner :one
SELECT instance_id, channel, agent FROM turns WHERE id = sqlc.arg('id') AND tenant_id = sqlc.arg('tenant_id');

-- name: AgentFailed :execrows
-- A failed attempt that will be repeated: said in the log, and the turn is not
-- suspect until then. No row: the turn is no longer the caller's.
WITH t AS (
    UPDATE turns SET due_at = greatest(due_at, clock_timestamp() + sqlc.arg('within')::interval)
    WHERE turns.id = sqlc.arg('turn_id') AND workflow_id = sqlc.arg('workflow_id') AND epoch = sqlc.arg('epoch') AND state || '' = 'answering'
    RETURNING *
)
INSERT INTO events (id, tenant_id, type, subject, instance_id, channel, chat_id, correlation_id, data)
SELECT uuid_v7(), t.tenant_id, 'agent.error', t.id::text, t.instance_id, t.channel, t.chat_id, t.leader,
       jsonb_build_object('turnId', t.id, 'chatId', t.chat_id, 'instanceId', t.instance_id, 'messageId', t.leader,
           'error', sqlc.arg('error')::text, 'kind', sqlc.arg('kind')::text, 'httpStatus', sqlc.arg('http_status')::int,
           'retryAfterMs', sqlc.arg('retry_after_ms')::bigint, 'final', false)
       || step_data('agent.Reply', sqlc.arg('started_at')::timestamptz, sqlc.arg('attempt')::int)
       -- Of the agent: a try on the quick path counts, too.
       || jsonb_build_object('attempts', 1 + (SELECT count(*) FROM events e
              WHERE e.correlation_id = t.leader AND e.type = 'agent.error' AND e.data ->> 'turnId' = t.id::text
                AND e.time > coalesce(t.reopened_at, '-infinity')))
FROM t;

-- name: AgentAttempts :one
-- How often the agent of a turn has failed since the turn began, or was reopened.
SELECT count(*) FROM events e JOIN turns t ON t.id = sqlc.arg('turn_id')
WHERE e.correlation_id = t.leader AND e.type = 'agent.error' AND e.data ->> 'turnId' = t.id::text
  AND e.time > coalesce(t.reopened_at, '-infinity');

-- name: AgentLatencies :many
SELECT agent_ms::int FROM turns
WHERE instance_id = @instance_id AND agent = 'instance' AND agent_ms IS NOT NULL AND error = '' AND outcome NOT IN ('fallback', 'gated')
ORDER BY created_at DESC
LIMIT @row_limit;

-- name: SharedAgentLatencies :many
SELECT agent_ms::int FROM turns
WHERE agent = @agent AND agent <> 'instance' AND agent_ms IS NOT NULL AND error = '' AND outcome NOT IN ('fallback', 'gated')
ORDER BY created_at DESC
LIMIT @row_limit;

-- name: GateTurn :execrows
-- The agent is to be asked: kept, so that a repeated call is not judged anew.
UPDATE turns SET gate = @gate
WHERE id = @turn_id AND workflow_id = @workflow_id AND epoch = @epoch AND state || '' = 'answering' AND part_count IS NULL;
