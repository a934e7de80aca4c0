-- +goose Up

-- Dead letters are mended: a retry goes on from the step that failed. A turn
-- that failed is then 'reopened': it waits for its place in the chat like one
-- that collects, with a raised epoch and a workflow of its own
-- (turn/<id>/<epoch>), keeps what was delivered, and is answered once.

ALTER TABLE turns ADD COLUMN reopened_at timestamptz;
-- Nearly always empty.
CREATE INDEX turns_reopened ON turns (chat_id, last_seq) WHERE state = 'reopened';

-- Why, in one stable word: errors of agents and channels begin with their kind.
ALTER TABLE dead_letters
    ADD COLUMN cause text NOT NULL GENERATED ALWAYS AS (CASE
        WHEN error LIKE 'timed out%' THEN 'timed_out'
        WHEN error ~ '^[a-z]+(_[a-z]+)*( \(\d+\))?: ' AND error !~ '^panic: ' AND step <> 'ingest.Record'
            THEN substring(error FROM '^[a-z_]+')
        WHEN error LIKE 'panic: %' THEN 'panic'
        WHEN step = 'ingest.Record' AND error ~ 'SQLSTATE [0-9A-Z]{5}' THEN 'sqlstate_' || substring(error FROM 'SQLSTATE ([0-9A-Z]{5})')
        WHEN step = 'ingest.Record' THEN 'unreadable'
        ELSE 'other' END) STORED,
    ADD COLUMN retried_at timestamptz,
    ADD COLUMN started_at timestamptz, -- NULL: retried, and what goes on with it is not known to exist yet
    ADD COLUMN open boolean GENERATED ALWAYS AS (status = 'open') STORED; -- for the index: see turns_due
CREATE INDEX dead_letters_open ON dead_letters (tenant_id, created_at, id) WHERE open;
CREATE INDEX dead_letters_turn ON dead_letters (turn_id) WHERE turn_id IS NOT NULL;
CREATE INDEX dead_letters_unstarted ON dead_letters (retried_at) WHERE status = 'retried' AND started_at IS NULL;

CREATE TYPE retry_view AS (
    -- reopened   committed just now: start the workflow
    -- under_way  retried before and not over: start it again, that does no harm
    -- poison     to be published again; nothing is changed yet
    -- retried resolved   no longer open
    -- paused busy answered gone   refused
    state       text,
    instance_id uuid,
    channel     text,
    chat_id     uuid,
    turn_id     uuid,  -- NULL: a message sent by API
    message_id  uuid,  -- the turn's leader, or the first part
    epoch       int,
    workflow_id text,
    traceparent text,
    parts       int,   -- of a message sent by API
    input       jsonb  -- poison
);

-- A message sent by API that failed for good.
-- +goose StatementBegin
CREATE FUNCTION dead_letter_outbound(m messages, p_step text, p_error text) RETURNS void LANGUAGE sql AS $$
    INSERT INTO dead_letters (id, tenant_id, instance_id, chat_id, message_id, step, error, attempts, input)
    SELECT uuid_v7(), m.tenant_id, m.instance_id, m.chat_id, m.id, p_step, p_error, greatest(m.attempts, 1),
        jsonb_build_object('messages', '[]'::jsonb, 'parts', jsonb_build_array(jsonb_build_object('id', m.id, 'index', m.part_index,
            'status', m.status, 'content', m.content, 'replyTo', m.reply_to)))
    WHERE NOT EXISTS (SELECT FROM dead_letters d WHERE d.message_id = m.id AND d.turn_id IS NULL AND d.step = p_step AND d.status = 'open')
$$;
-- +goose StatementEnd

-- The parts behind one of a message sent by API; they were stored together.
-- +goose StatementBegin
CREATE FUNCTION outbound_behind(m messages) RETURNS SETOF messages LANGUAGE sql STABLE AS $$
    SELECT * FROM messages e
    WHERE e.chat_id = m.chat_id AND e.correlation_id = m.correlation_id AND e.turn_id IS NULL AND e.direction = 'outbound'
      AND e.part_index > m.part_index AND e.created_at BETWEEN m.created_at AND m.created_at + interval '1 minute'
$$;
-- +goose StatementEnd

-- Retries a dead letter. Everything is decided under the chat's lock, so that
-- of two clicks one reopens and the other sees it.
-- +goose StatementBegin
CREATE FUNCTION dead_letter_retry(p_tenant text, p_id uuid) RETURNS retry_view LANGUAGE plpgsql AS $$
DECLARE
    d dead_letters;
    c chats;
    t turns;
    m messages;
    v retry_view;
BEGIN
    SELECT * INTO d FROM dead_letters WHERE id = p_id AND tenant_id = p_tenant;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    IF d.step = 'ingest.Record' THEN
        v.state := CASE d.status WHEN 'open' THEN 'poison' ELSE d.status END;
        v.input := d.input; v.instance_id := d.instance_id;
        RETURN v;
    END IF;
    SELECT * INTO c FROM chats WHERE id = d.chat_id FOR NO KEY UPDATE;
    SELECT * INTO STRICT d FROM dead_letters WHERE id = p_id FOR UPDATE; -- or it is resolved meanwhile
    SELECT * INTO t FROM turns WHERE id = d.turn_id;
    SELECT * INTO m FROM messages WHERE id = d.message_id;
    IF d.status = 'open' THEN
        v.state := CASE
            WHEN c.id IS NULL OR NOT EXISTS (SELECT FROM instances WHERE id = c.instance_id AND deleted_at IS NULL) THEN 'gone'
            WHEN c.paused AND (c.paused_until IS NULL OR c.paused_until > clock_timestamp()) THEN 'paused'
            WHEN d.turn_id IS NOT NULL AND t.id IS NULL OR d.turn_id IS NULL AND m.id IS NULL THEN 'gone'
            WHEN t.state IN ('collecting', 'answering', 'reopened') THEN 'busy'
            -- What is behind it has not been given up yet.
            WHEN d.turn_id IS NULL AND EXISTS (SELECT FROM outbound_behind(m) WHERE status IN ('queued', 'sending')) THEN 'busy'
            WHEN t.state = 'answered' OR t.yielded_to IS NOT NULL OR d.turn_id IS NULL AND m.status <> 'failed' THEN 'answered'
            ELSE 'reopened' END;
    ELSIF d.status = 'retried' AND (t.state IN ('collecting', 'answering', 'reopened')
                                    OR d.turn_id IS NULL AND m.status IN ('queued', 'sending')) THEN
        v.state := 'under_way';
    ELSE
        v.state := d.status;
    END IF;
    IF v.state = 'reopened' THEN
        IF d.turn_id IS NULL THEN
            -- Its time counts from now on, or it would be too old to be sent.
            -- Behind a part that was not sent the others were cancelled.
            UPDATE messages SET status = 'queued', status_reason = '', withheld_at = NULL, error = '', retry_at = NULL,
                send_at = clock_timestamp(), updated_at = clock_timestamp()
            WHERE id = ANY (m.id || ARRAY(SELECT b.id FROM outbound_behind(m) b WHERE b.status = 'cancelled'));
        ELSE
            t := turn_reopen(t, d.step);
        END IF;
        UPDATE dead_letters SET status = 'retried', retried_at = clock_timestamp(), started_at = NULL WHERE id = p_id;
    END IF;
    v.instance_id := c.instance_id; v.channel := c.channel; v.chat_id := c.id; v.turn_id := d.turn_id;
    v.epoch := t.epoch; v.workflow_id := t.workflow_id;
    v.message_id := coalesce(t.leader, m.correlation_id, m.id); v.traceparent := m.traceparent; v.parts := m.part_count;
    RETURN v;
END $$;
-- +goose StatementEnd

-- Takes a failed turn back to the step that failed. The chat is locked.
-- +goose StatementBegin
CREATE FUNCTION turn_reopen(t turns, p_step text) RETURNS turns LANGUAGE plpgsql AS $$
DECLARE
    now_ timestamptz := clock_timestamp();
BEGIN
    IF p_step = 'agent.Reply' THEN
        -- The agent is asked again. A fallback text that was delivered stays; what
        -- was not is no part of the answer any more, nor is its delivery to be mended.
        UPDATE messages SET turn_id = NULL, status_reason = 'the agent is asked again', updated_at = now_
        WHERE turn_id = t.id AND direction = 'outbound' AND status NOT IN ('sent', 'delivered', 'read');
        UPDATE dead_letters SET status = 'resolved', resolved_at = now_ WHERE turn_id = t.id AND step <> p_step AND status = 'open';
        UPDATE turns SET answer = CASE WHEN t.follows IS NOT NULL AND t.part_count IS NULL THEN t.answer END, part_count = NULL, agent_ms = NULL, error = '', actions = NULL, gate = NULL,
            asked_at = NULL, reply_until = NULL, awaiting = false, reply_hash = NULL WHERE id = t.id;
    ELSE
        -- What was delivered stays so; the rest goes out. Whether it is the
        -- agent's answer or the fallback text is what the agent's dead letter says.
        UPDATE messages SET status = 'queued', status_reason = '', error = '', retry_at = NULL, updated_at = now_
        WHERE turn_id = t.id AND direction = 'outbound' AND status IN ('failed', 'cancelled', 'expired');
        UPDATE turns SET error = coalesce((SELECT d.error FROM dead_letters d WHERE d.turn_id = t.id AND d.step = 'agent.Reply'
                                             AND d.status <> 'retried' ORDER BY d.created_at DESC LIMIT 1), '')
        WHERE id = t.id;
    END IF;
    UPDATE messages SET status = 'processing', status_reason = '', updated_at = now_ WHERE turn_id = t.id AND direction = 'inbound';
    IF t.follows IS NOT NULL THEN
        UPDATE follow_ups SET state = 'sending', reason = '', ended_at = NULL WHERE own_turn = t.id;
    END IF;
    -- Suspect soon: should nobody live to start its workflow, the janitor does.
    UPDATE turns SET state = 'reopened', outcome = '', epoch = t.epoch + 1, workflow_id = 'turn/' || t.id || '/' || t.epoch + 1,
        reopened_at = now_, finished_at = NULL, sender = NULL, sender_until = NULL, due_at = now_ + interval '10 seconds'
    WHERE id = t.id
    RETURNING * INTO t;
    RETURN t;
END $$;
-- +goose StatementEnd

-- Lets a reopened turn answer once it is its turn: not while another one
-- answers, and not before an earlier one that waits like it. The chat is locked.
-- +goose StatementBegin
CREATE FUNCTION turn_reclose_locked(t turns, p_provider text, p_answer_within interval, p_step text, p_started timestamptz, p_attempt int)
RETURNS turn_view LANGUAGE plpgsql AS $$
DECLARE
    v     turn_view;
    other turns;
    now_  timestamptz := clock_timestamp();
BEGIN
    v.turn_id := t.id; v.epoch := t.epoch; v.leader := t.leader; v.answered := t.part_count IS NOT NULL; v.agent := t.agent;
    SELECT * INTO other FROM turns WHERE chat_id = t.chat_id AND state = 'answering';
    IF NOT FOUND THEN
        SELECT * INTO other FROM turns
        WHERE chat_id = t.chat_id AND state = 'reopened' AND (last_seq, id) < (t.last_seq, t.id) ORDER BY last_seq, id LIMIT 1;
    END IF;
    IF FOUND THEN
        UPDATE turns SET due_at = now_ + interval '60 seconds' WHERE id = t.id;
        v.state := 'behind';
        v.suspect := CASE WHEN other.due_at < now_ THEN other.id END;
        RETURN v;
    END IF;
    UPDATE turns SET state = 'answering', closed_at = coalesce(closed_at, now_), due_at = now_ + p_answer_within WHERE id = t.id;
    v.batch := turn_batch(t.id);
    v.messages := jsonb_array_length(v.batch);
    INSERT INTO events (id, tenant_id, type, subject, instance_id, channel, chat_id, correlation_id, data)
    SELECT uuid_v7(), t.tenant_id, e.type, t.id::text, t.instance_id, t.channel, t.chat_id, t.leader, e.data
    FROM (VALUES
        (1, 'turn.started', jsonb_build_object('turnId', t.id, 'chatId', t.chat_id, 'instanceId', t.instance_id, 'leader', t.leader,
            'epoch', t.epoch, 'retry', true, 'messageIds', jsonb_path_query_array(v.batch, '$[*].id')) || step_data(p_step, p_started, p_attempt)),
        (2, 'agent.request', jsonb_build_object('turnId', t.id, 'chatId', t.chat_id, 'instanceId', t.instance_id,
            'messageId', t.leader, 'provider', p_provider, 'messages', v.messages, 'sessionKey', t.session_key, 'retry', true)
            || CASE t.agent WHEN 'instance' THEN '{}' ELSE jsonb_build_object('agentId', t.agent) END)
    ) AS e(n, type, data)
    WHERE e.n = 1 OR NOT v.answered
    ORDER BY e.n;
    v.state := 'closed';
    RETURN v;
END $$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION turn_reclose_locked(turns, text, interval, text, timestamptz, int), turn_reopen(turns, text), dead_letter_retry(text, uuid),
    outbound_behind(messages), dead_letter_outbound(messages, text, text);
DROP TYPE retry_view;
DROP INDEX dead_letters_unstarted, dead_letters_turn, dead_letters_open, turns_reopened;
ALTER TABLE dead_letters DROP COLUMN cause, DROP COLUMN retried_at, DROP COLUMN started_at;
ALTER TABLE turns DROP COLUMN reopened_at;
