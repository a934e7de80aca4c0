-- +goose Up

-- The decisions about a chat. Each function is one short transaction that
-- takes the chat's row lock first and then reads: inside a PL/pgSQL function
-- every statement has a snapshot of its own, so what is read after the lock is
-- what the last holder wrote. (One CTE could not do this: its snapshot is older
-- than its lock.) Each function first returns what is already true, because
-- everything since the last completed workflow task may run again.

CREATE TYPE turn_view AS (
    state    text,     -- leader follower closed wait behind finished cancelled adopted paused ignored
    turn_id  uuid,
    epoch    int,
    leader   uuid,
    wait_ms  int,
    outcome  text,
    messages int,
    answered boolean,  -- the answer is stored
    suspect  uuid,     -- an overdue turn: somebody should ask Temporal about it
    batch    jsonb,    -- closed: the messages, by sequence, as they read now
    interrupt uuid,    -- the turn to interrupt, or that was
    agent    text      -- which agent answers
);

-- What a reaction in a batch is a reaction to: one of our messages.
-- +goose StatementBegin
CREATE FUNCTION reaction_target(m messages) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN jsonb_build_object('kind', m.kind, 'target', (
        SELECT jsonb_build_object('id', o.id, 'externalId', o.external_id, 'text', o.text)
        FROM messages o
        WHERE o.instance_id = m.instance_id AND o.direction = 'outbound' AND o.external_id = m.reply_to_external
          AND o.external_id <> '' AND o.chat_id = m.chat_id
        LIMIT 1));
END $$;
-- +goose StatementEnd

-- What a message answers, where its platform says so: one of its chat, as it
-- reads now.
-- +goose StatementBegin
CREATE FUNCTION quoted_message(m messages) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
    o messages;
BEGIN
    SELECT * INTO o FROM messages WHERE id = m.reply_to AND chat_id = m.chat_id;
    IF NOT FOUND THEN -- what we sent is not known by an id that the platform's tells
        SELECT * INTO o FROM messages
        WHERE instance_id = m.instance_id AND direction = 'outbound' AND external_id = m.reply_to_external AND external_id <> ''
          AND chat_id = m.chat_id
        LIMIT 1;
    END IF;
    IF NOT FOUND OR o.deleted_at IS NOT NULL OR coalesce(o.access_decision, 'allow') <> 'allow' THEN
        RETURN '{}';
    END IF;
    RETURN jsonb_build_object('replyTo', jsonb_build_object('id', o.id, 'fromAgent', o.direction = 'outbound',
        'senderName', CASE WHEN o.direction = 'inbound' THEN o.sender_name ELSE '' END, 'text', left(o.text, 2000)));
END $$;
-- +goose StatementEnd

-- A message as the batch of a turn holds it.
-- +goose StatementBegin
CREATE FUNCTION batch_message(m messages) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object('id', m.id, 'text', m.text, 'content', m.content, 'senderName', m.sender_name,
        'senderId', m.sender_platform_id, 'personId', m.person_id, 'externalId', m.external_id, 'seq', m.seq,
        'sentAt', m.sent_at, 'facts', m.facts)
        || CASE WHEN m.kind = 'reaction' THEN reaction_target(m) WHEN m.reply_to_external <> '' THEN quoted_message(m) ELSE '{}' END
$$;
-- +goose StatementEnd

-- The batch of a turn, as it reads now. (In PL/pgSQL, because Postgres plans a
-- query in a function of language SQL anew at each call.)
-- +goose StatementBegin
CREATE FUNCTION turn_batch(p_turn uuid) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT coalesce(jsonb_agg(batch_message(m) ORDER BY m.seq), follow_up_batch(p_turn))
        FROM messages m
        WHERE m.turn_id = p_turn AND m.direction = 'inbound' AND m.deleted_at IS NULL);
END $$;
-- +goose StatementEnd

-- What state a turn is in for the workflow that asks on behalf of a message.
-- +goose StatementBegin
CREATE FUNCTION turn_state(t turns, p_message uuid, p_workflow text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN CASE
        WHEN t.workflow_id <> p_workflow THEN CASE WHEN t.leader = p_message THEN 'adopted' ELSE 'follower' END
        WHEN t.state IN ('collecting', 'reopened') THEN 'leader'
        WHEN t.state = 'answering' THEN 'closed'
        WHEN t.state = 'cancelled' THEN 'cancelled'
        ELSE 'finished'
    END;
END $$;
-- +goose StatementEnd

-- What is true of a turn for the workflow that asks on behalf of a message.
-- +goose StatementBegin
CREATE FUNCTION turn_seen(t turns, p_message uuid, p_workflow text) RETURNS turn_view LANGUAGE plpgsql AS $$
DECLARE
    v turn_view;
BEGIN
    v.turn_id := t.id; v.epoch := t.epoch; v.leader := t.leader; v.outcome := t.outcome; v.agent := t.agent;
    v.answered := t.part_count IS NOT NULL;
    v.state := turn_state(t, p_message, p_workflow);
    IF v.state = 'leader' THEN
        v.wait_ms := greatest(0, ceil(extract(epoch FROM t.quiet_at - clock_timestamp()) * 1000))::int;
    ELSIF v.state = 'closed' THEN
        v.batch := turn_batch(t.id);
        v.messages := jsonb_array_length(v.batch);
    END IF;
    RETURN v;
END $$;
-- +goose StatementEnd

-- The workflows of the leaders that wait in a chat. (Two queries, because each
-- has an index of its own.)
-- +goose StatementBegin
CREATE FUNCTION turns_waiting(p_chat uuid) RETURNS text[] LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN ARRAY(SELECT workflow_id FROM turns WHERE chat_id = p_chat AND state = 'collecting'
                 UNION ALL
                 SELECT workflow_id FROM turns WHERE chat_id = p_chat AND state = 'reopened');
END $$;
-- +goose StatementEnd

-- What a function hands to the one below, to be said in the same statement.
CREATE TYPE log_entry AS (type text, subject text, person_id uuid, data jsonb);

-- Gives a turn its outcome. The chat is locked. p_before is said before the
-- turn's own event. Returns the workflows of the leaders that wait behind.
-- +goose StatementBegin
CREATE FUNCTION turn_finish_locked(t turns, p_outcome text, p_error text, p_step text, p_started timestamptz, p_attempt int,
    p_before log_entry DEFAULT NULL) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
    -- An answer after the agent was given up is the fallback text, whoever delivered it.
    said  text := CASE WHEN p_outcome = 'answered' AND t.error <> '' THEN 'fallback'
                       WHEN p_outcome = 'nothing' AND t.actions IS NOT NULL THEN turn_silence(t) ELSE p_outcome END;
    quiet boolean := said IN ('no_reply', 'gated', 'nothing');
    final text := CASE WHEN quiet THEN 'answered' ELSE CASE said WHEN 'answered' THEN 'answered' WHEN 'nothing' THEN 'answered' WHEN 'cancelled' THEN 'cancelled'
                       WHEN 'interrupted' THEN 'cancelled' WHEN 'ignored' THEN 'cancelled' WHEN 'expired' THEN 'expired' ELSE 'failed' END END;
    waiting text[];
    under_way boolean := final = 'cancelled'
        AND EXISTS (SELECT FROM messages WHERE turn_id = t.id AND direction = 'outbound' AND status = 'sending');
BEGIN
    -- A part that has been handed over still gets its outcome: its sender keeps the leases meanwhile.
    UPDATE turns SET state = final, outcome = said, finished_at = clock_timestamp(),
        error = CASE WHEN said = p_outcome THEN p_error ELSE t.error END,
        sender = CASE WHEN under_way THEN sender END,
        deliver_ms = CASE WHEN final = 'answered' THEN round(extract(epoch FROM clock_timestamp() - coalesce(reopened_at, closed_at)) * 1000)::int - coalesce(agent_ms, 0) END
    WHERE id = t.id;
    IF final <> 'answered' THEN
        PERFORM parts_doubted(t.id, NULL);
    END IF;
    UPDATE messages SET
        status = CASE WHEN direction = 'outbound' THEN CASE final WHEN 'expired' THEN 'expired' ELSE 'cancelled' END
                      WHEN quiet OR p_outcome = 'ignored' THEN 'ignored'
                      WHEN final = 'expired' THEN 'failed' ELSE final END,
        status_reason = CASE WHEN final = 'answered' AND NOT quiet THEN '' ELSE said END,
        updated_at = clock_timestamp()
    WHERE turn_id = t.id AND (direction = 'inbound' OR status = 'queued');
    UPDATE chats SET delivering = NULL WHERE id = t.chat_id AND delivering = t.id AND NOT under_way;
    INSERT INTO events (id, tenant_id, type, subject, instance_id, channel, chat_id, person_id, correlation_id, data)
    SELECT uuid_v7(), t.tenant_id, e.type, e.subject, t.instance_id, t.channel, t.chat_id, e.person_id, t.leader, e.data
    FROM (VALUES
        (1, p_before.type, p_before.subject, p_before.person_id, p_before.data),
        (2, CASE final WHEN 'answered' THEN 'turn.completed' WHEN 'cancelled' THEN 'turn.cancelled' ELSE 'turn.failed' END,
            t.id::text, NULL, jsonb_build_object('turnId', t.id, 'chatId', t.chat_id, 'instanceId', t.instance_id, 'messageId', t.leader,
                               'outcome', said, 'error', p_error) || step_data(p_step, p_started, p_attempt))
    ) AS e(n, type, subject, person_id, data)
    WHERE e.type IS NOT NULL ORDER BY e.n;
    IF t.follows IS NOT NULL THEN
        PERFORM follow_up_ended(t, said, p_error, p_step);
    ELSIF said = 'answered' AND (t.actions IS NULL OR NOT turn_ends_it(t)) THEN
        PERFORM follow_ups_schedule(t);
    END IF;
    waiting := turns_waiting(t.chat_id);
    IF t.actions IS NOT NULL AND final = 'answered' THEN
        PERFORM turn_act(t);
    END IF;
    RETURN waiting;
END $$;
-- +goose StatementEnd

-- What keeps a collecting turn from closing now: state behind, wait, or NULL
-- where nothing does. The chat is locked.
-- +goose StatementBegin
CREATE FUNCTION turn_hold(t turns, p_media_within interval, now_ timestamptz, p_step text, p_started timestamptz, p_attempt int)
RETURNS turn_view LANGUAGE plpgsql AS $$
DECLARE
    v     turn_view := (NULL, t.id, t.epoch, t.leader, NULL, NULL, NULL, false, NULL, NULL, NULL, t.agent);
    other turns;
    wait  interval := t.quiet_at - now_;
BEGIN
    SELECT * INTO other FROM turns WHERE chat_id = t.chat_id AND state = 'answering';
    IF NOT FOUND THEN -- one that is retried goes first: it is the older one
        SELECT * INTO other FROM turns WHERE chat_id = t.chat_id AND state = 'reopened' ORDER BY last_seq LIMIT 1;
    END IF;
    IF FOUND AND NOT follow_up_gives_way(other, p_step, p_started, p_attempt) THEN
        v.state := 'behind';
        v.suspect := CASE WHEN other.due_at < now_ THEN other.id END;
        RETURN v;
    END IF;
    IF t.media_pending <> '{}' AND now_ < t.media_until THEN
        wait := greatest(wait, t.media_until - now_);
    END IF;
    -- The order of the chat is the order of the stream. An earlier message may
    -- not be recorded yet; or it is, and its workflow has not come to join: after
    -- a restart that takes until its workflow task is given to another process.
    IF now_ < t.last_at + interval '2 seconds'
       AND coalesce((SELECT floor FROM ingest_floor WHERE stream = 'CHANNEL'), 0) < t.last_seq
       OR now_ < t.last_at + interval '60 seconds'
       AND EXISTS (SELECT FROM messages m
                   WHERE m.chat_id = t.chat_id AND m.created_at > now_ - interval '1 hour' AND m.direction = 'inbound'
                     AND m.turn_id IS NULL AND m.status IN ('received', 'processing') AND m.kind IN ('message', 'reaction') AND m.seq < t.last_seq
                     AND NOT coalesce((m.facts ->> 'backfill')::boolean, false)) THEN
        -- Asked again soon at first, then less and less often.
        wait := greatest(wait, interval '10 milliseconds', least(interval '1 second', (now_ - t.last_at) / 2));
    END IF;
    IF wait > interval '0' THEN
        v.state := 'wait';
        v.wait_ms := ceil(extract(epoch FROM wait) * 1000)::int;
    END IF;
    RETURN v;
END $$;
-- +goose StatementEnd

-- Says that a turn has closed with a batch. Returns what its leader sees.
-- +goose StatementBegin
CREATE FUNCTION turn_closed(t turns, p_batch jsonb, p_provider text, p_step text, p_started timestamptz, p_attempt int)
RETURNS turn_view LANGUAGE plpgsql AS $$
DECLARE
    v turn_view;
BEGIN
    v := ('closed', t.id, t.epoch, t.leader, NULL, NULL, jsonb_array_length(p_batch), false, NULL, p_batch, NULL, t.agent);
    INSERT INTO events (id, tenant_id, type, subject, instance_id, channel, chat_id, correlation_id, data)
    SELECT uuid_v7(), t.tenant_id, e.type, t.id::text, t.instance_id, t.channel, t.chat_id, t.leader, e.data
    FROM (VALUES
        (1, 'turn.started', jsonb_build_object('turnId', t.id, 'chatId', t.chat_id, 'instanceId', t.instance_id, 'leader', t.leader,
            'epoch', t.epoch, 'messageIds', jsonb_path_query_array(p_batch, '$[*].id')) || step_data(p_step, p_started, p_attempt)),
        (2, 'agent.request', jsonb_build_object('turnId', t.id, 'chatId', t.chat_id, 'instanceId', t.instance_id,
            'messageId', t.leader, 'provider', p_provider, 'messages', v.messages, 'sessionKey', t.session_key)
            || CASE t.agent WHEN 'instance' THEN '{}' ELSE jsonb_build_object('agentId', t.agent) END)
    ) AS e(n, type, data) ORDER BY e.n;
    RETURN v;
END $$;
-- +goose StatementEnd

-- Ends the collecting of a turn if nothing is to wait for. The chat is locked.
-- +goose StatementBegin
CREATE FUNCTION turn_close_locked(t turns, p_provider text, p_answer_within interval, p_media_within interval,
                                  p_step text, p_started timestamptz, p_attempt int) RETURNS turn_view LANGUAGE plpgsql AS $$
DECLARE
    now_  timestamptz := clock_timestamp();
    v     turn_view := turn_hold(t, p_media_within, now_, p_step, p_started, p_attempt);
    batch jsonb;
BEGIN
    IF v.state IS NOT NULL THEN
        UPDATE turns SET due_at = now_ + make_interval(secs => coalesce(v.wait_ms, 0) / 1000.0) + interval '60 seconds' WHERE id = t.id;
        RETURN v;
    END IF;
    batch := turn_batch(t.id);
    IF batch = '[]' THEN -- everything was deleted before anyone answered
        PERFORM turn_finish_locked(t, 'ignored', '', p_step, p_started, p_attempt);
        v.state := 'finished'; v.outcome := 'ignored';
        RETURN v;
    END IF;
    UPDATE turns SET state = 'answering', closed_at = now_, due_at = now_ + p_answer_within WHERE id = t.id;
    RETURN turn_closed(t, batch, p_provider, p_step, p_started, p_attempt);
END $$;
-- +goose StatementEnd

-- turn.Join. p_refuse is why the message is not answered ('' if it is);
-- p_close: nothing to wait for, so try to close in the same transaction.
-- +goose StatementBegin
CREATE FUNCTION turn_join(p_chat uuid, p_message uuid, p_session text, p_agent text, p_workflow text, p_turn uuid,
    p_refuse text, p_quiet interval, p_cap interval, p_media boolean, p_close boolean, p_provider text,
    p_answer_within interval, p_media_within interval, p_started timestamptz, p_attempt int)
RETURNS turn_view LANGUAGE plpgsql AS $$
DECLARE
    v   turn_view;
    c   chats;
    m   messages;
    t   turns;
    now_ timestamptz;
BEGIN
    SELECT * INTO STRICT c FROM chats WHERE id = p_chat FOR NO KEY UPDATE;
    SELECT * INTO STRICT m FROM messages WHERE id = p_message;
    now_ := clock_timestamp();
    IF m.person_id IS NOT NULL AND strpos(p_session, 'person:') > 0 THEN -- another one's by now, perhaps
        p_session := left(p_session, -36) || m.person_id;
    END IF;
    IF c.session_epoch > 0 OR starts_with(p_session, 'person:') THEN
        p_session := session_now(p_session, c);
    END IF;
    IF m.turn_id IS NOT NULL THEN
        SELECT * INTO STRICT t FROM turns WHERE id = m.turn_id;
        IF p_close AND t.state = 'collecting' AND t.workflow_id = p_workflow THEN
            RETURN turn_close_locked(t, p_provider, p_answer_within, p_media_within, 'turn.Join', p_started, p_attempt);
        END IF;
        RETURN turn_seen(t, p_message, p_workflow);
    END IF;
    IF m.status NOT IN ('received', 'processing') THEN
        v.state := CASE m.status WHEN 'paused' THEN 'paused' WHEN 'ignored' THEN 'ignored' ELSE 'finished' END;
        v.outcome := m.status;
        RETURN v;
    END IF;
    IF c.bot_turns > 0 AND NOT from_bot(m) THEN -- a person: bots may answer each other again
        UPDATE chats SET bot_turns = 0 WHERE id = p_chat;
        c.bot_turns := 0;
    END IF;
    IF c.paused AND c.paused_until <= now_ THEN
        PERFORM chat_resume(p_chat, 'the time is over', '');
        c.paused := false;
    END IF;
    IF c.paused THEN
        p_refuse := 'a person has taken the chat over';
        v.state := 'paused';
    ELSIF p_refuse <> '' OR m.deleted_at IS NOT NULL THEN
        v.state := 'ignored';
    END IF;
    IF v.state IS NOT NULL THEN
        UPDATE messages SET status = v.state, status_reason = p_refuse, updated_at = now_ WHERE id = p_message;
        v.outcome := v.state;
        RETURN v;
    END IF;

    SELECT * INTO t FROM turns WHERE chat_id = p_chat AND session_key = p_session AND agent = p_agent AND state = 'collecting';
    IF FOUND THEN
        v.suspect := CASE WHEN t.due_at < now_ THEN t.id END;
        t := turn_collect(t, m, p_workflow, CASE WHEN p_media THEN p_media_within END);
        IF t.workflow_id = p_workflow THEN
            IF p_close THEN
                RETURN turn_close_locked(t, p_provider, p_answer_within, p_media_within, 'turn.Join', p_started, p_attempt);
            END IF;
            RETURN turn_seen(t, p_message, p_workflow);
        END IF;
        v.state := 'follower'; v.turn_id := t.id; v.epoch := t.epoch; v.leader := t.leader;
        RETURN v;
    END IF;
    -- (What bot_loop looks at, asked here: for most messages it need not be called.)
    IF (m.facts ? 'isBot' OR length(m.text) >= 20) AND bot_loop(c, m, p_started, p_attempt) THEN
        v.state := 'ignored'; v.outcome := 'ignored';
        RETURN v;
    END IF;

    -- (One query: each assignment of its own would cost as much.)
    SELECT p_turn, m.tenant_id, m.instance_id, m.channel, p_chat, p_session, p_message, p_workflow, 1, now_,
           m.seq, p_quiet, now_ + least(p_quiet, p_cap), now_ + p_cap, CASE WHEN p_media THEN ARRAY[p_message] ELSE '{}' END,
           CASE WHEN p_media THEN now_ + p_media_within END, 'collecting', now_ + p_quiet + interval '60 seconds', p_agent
    INTO t.id, t.tenant_id, t.instance_id, t.channel, t.chat_id, t.session_key, t.leader, t.workflow_id, t.epoch, t.last_at,
         t.last_seq, t.quiet_for, t.quiet_at, t.latest_at, t.media_pending,
         t.media_until, t.state, t.due_at, t.agent;
    IF p_close THEN
        v := turn_hold(t, p_media_within, now_, 'turn.Join', p_started, p_attempt);
        IF v.state IS NULL THEN
            t.state := 'answering'; t.closed_at := now_; t.due_at := now_ + p_answer_within;
        END IF;
    END IF;
    INSERT INTO turns (id, tenant_id, instance_id, channel, chat_id, session_key, agent, state, leader, workflow_id, epoch, due_at,
                       first_at, last_at, last_seq, quiet_for, quiet_at, latest_at, media_pending, media_until, closed_at)
    VALUES (t.id, t.tenant_id, t.instance_id, t.channel, t.chat_id, t.session_key, p_agent, t.state, t.leader, t.workflow_id, t.epoch,
            t.due_at, now_, t.last_at, t.last_seq, t.quiet_for, t.quiet_at, t.latest_at, t.media_pending, t.media_until, t.closed_at);
    UPDATE messages SET turn_id = t.id, status = 'processing', updated_at = now_ WHERE id = p_message;
    IF NOT p_close THEN
        RETURN turn_seen(t, p_message, p_workflow);
    ELSIF t.state = 'collecting' THEN
        RETURN v;
    END IF;
    RETURN turn_closed(t, jsonb_build_array(batch_message(m)), p_provider, 'turn.Join', p_started, p_attempt);
END $$;
-- +goose StatementEnd

-- turn.Close, by the workflow that leads.
-- +goose StatementBegin
CREATE FUNCTION turn_close(p_chat uuid, p_turn uuid, p_workflow text, p_epoch int, p_provider text, p_answer_within interval,
    p_media_within interval, p_typing jsonb, p_started timestamptz, p_attempt int) RETURNS turn_view LANGUAGE plpgsql AS $$
DECLARE
    t turns;
BEGIN
    PERFORM FROM chats WHERE id = p_chat FOR NO KEY UPDATE;
    SELECT * INTO STRICT t FROM turns WHERE id = p_turn;
    IF t.workflow_id = p_workflow AND t.epoch = p_epoch AND t.state = 'collecting' THEN
        IF p_typing <> '[]' THEN
            t := turn_typing(t, p_typing);
        END IF;
        RETURN turn_close_locked(t, p_provider, p_answer_within, p_media_within, 'turn.Close', p_started, p_attempt);
    ELSIF t.workflow_id = p_workflow AND t.epoch = p_epoch AND t.state = 'reopened' THEN
        RETURN turn_reclose_locked(t, p_provider, p_answer_within, 'turn.Close', p_started, p_attempt);
    END IF;
    RETURN turn_seen_by(t, p_workflow);
END $$;
-- +goose StatementEnd

-- When a turn that is worked at is suspect: later than now by p_within. A time
-- that is about right stays, because a row whose indexed columns do not change
-- is cheaper to write.
-- +goose StatementBegin
CREATE FUNCTION turn_due(p_due timestamptz, p_within interval) RETURNS timestamptz LANGUAGE plpgsql AS $$
DECLARE
    now_ timestamptz := clock_timestamp();
BEGIN
    RETURN CASE WHEN p_due BETWEEN now_ + p_within * 0.8 AND now_ + p_within * 2 THEN p_due ELSE now_ + p_within END;
END $$;
-- +goose StatementEnd

-- agent.Reply stores its answer with the parts; the first stored answer wins.
-- p_parts is an array of message.Content.
-- +goose StatementBegin
CREATE FUNCTION turn_answer(p_chat uuid, p_turn uuid, p_workflow text, p_epoch int, p_answer text, p_parts jsonb,
    p_part_ids uuid[], p_agent_ms int, p_data jsonb, p_deliver_within interval, p_started timestamptz, p_attempt int,
    OUT state text, OUT parts int) LANGUAGE plpgsql AS $$
DECLARE
    t turns;
BEGIN
    PERFORM FROM chats WHERE id = p_chat FOR NO KEY UPDATE;
    -- Most often nothing has happened since, and the first stored answer is this one.
    -- (state || '': to be found by its id, not by an index of those that are answered now.)
    UPDATE turns SET answer = p_answer, part_count = jsonb_array_length(p_parts), agent_ms = CASE WHEN answer IS NULL THEN p_agent_ms END,
        due_at = turn_due(due_at, p_deliver_within), sender = NULL
    WHERE id = p_turn AND workflow_id = p_workflow AND epoch = p_epoch AND turns.state || '' = 'answering' AND part_count IS NULL
    RETURNING * INTO t;
    IF NOT FOUND THEN
        SELECT * INTO STRICT t FROM turns WHERE id = p_turn;
        state := turn_state(t, t.leader, p_workflow);
        IF state = 'closed' AND t.epoch <> p_epoch THEN
            state := 'adopted';
        END IF;
        parts := coalesce(t.part_count, 0);
        RETURN;
    END IF;
    state := 'closed'; parts := t.part_count;
    IF t.live THEN
        p_parts := live_adopt(t, p_parts);
    END IF;
    INSERT INTO messages (id, tenant_id, instance_id, channel, chat_id, person_id, identity_id, direction, content, text, status, turn_id,
                          correlation_id, part_index, part_count, reply_to, reply_to_external)
    -- After a retry the id may be that of a part of the fallback text.
    SELECT CASE WHEN (t.epoch > 1 OR t.live) AND EXISTS (SELECT FROM messages o WHERE o.id = p_part_ids[x.n]) THEN uuid_v7() ELSE p_part_ids[x.n] END,
           t.tenant_id, t.instance_id, t.channel, t.chat_id, m.person_id, m.identity_id, 'outbound', x.content,
           coalesce(x.content ->> 'text', ''), 'queued', t.id, t.leader, x.n::int - 1, parts,
           CASE WHEN t.follows IS NULL THEN t.leader END,
           CASE WHEN t.follows IS NOT NULL THEN '' WHEN m.kind = 'reaction' THEN m.reply_to_external ELSE m.external_id END
    FROM jsonb_array_elements(p_parts) WITH ORDINALITY AS x(content, n), messages m
    WHERE m.id = t.leader AND x.content <> 'null';
    IF t.agent_ms IS NULL THEN -- a follow-up's own text: no agent was asked
        RETURN;
    END IF;
    INSERT INTO events (id, tenant_id, type, subject, instance_id, channel, chat_id, correlation_id, data)
    VALUES (uuid_v7(), t.tenant_id, 'agent.response', t.id::text, t.instance_id, t.channel, t.chat_id, t.leader,
            jsonb_build_object('turnId', t.id, 'chatId', t.chat_id, 'instanceId', t.instance_id, 'messageId', t.leader,
                'text', p_answer, 'parts', parts, 'agentMs', p_agent_ms)
            || coalesce(p_data, '{}') || step_data('agent.Reply', p_started, p_attempt));
END $$;
-- +goose StatementEnd

-- agent.Reply while it works: the turn is not suspect. False: no longer mine.
-- +goose StatementBegin
CREATE FUNCTION turn_touch(p_turn uuid, p_workflow text, p_epoch int, p_within interval) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    UPDATE turns SET due_at = clock_timestamp() + p_within
    WHERE id = p_turn AND workflow_id = p_workflow AND epoch = p_epoch AND state || '' = 'answering';
    RETURN FOUND;
END $$;
-- +goose StatementEnd

-- turn.Finish. p_dead is the step whose failure goes to the dead letters.
-- +goose StatementBegin
CREATE FUNCTION turn_finish(p_chat uuid, p_turn uuid, p_workflow text, p_epoch int, p_outcome text, p_error text, p_dead text,
    p_dead_attempts int, p_started timestamptz, p_attempt int, OUT outcome text, OUT wake text[]) LANGUAGE plpgsql AS $$
DECLARE
    t turns;
BEGIN
    PERFORM FROM chats WHERE id = p_chat FOR NO KEY UPDATE;
    SELECT * INTO STRICT t FROM turns WHERE id = p_turn;
    IF t.state IN ('collecting', 'answering', 'reopened') AND (t.workflow_id <> p_workflow OR t.epoch <> p_epoch) THEN
        outcome := 'adopted'; wake := '{}';
        RETURN;
    END IF;
    IF t.state NOT IN ('collecting', 'answering', 'reopened') THEN
        outcome := t.outcome;
        wake := turns_waiting(p_chat);
        RETURN;
    END IF;
    IF p_dead <> '' THEN
        PERFORM dead_letter_turn(t, p_dead, p_error, p_dead_attempts);
    END IF;
    outcome := CASE WHEN p_outcome = 'answered' AND t.error <> '' THEN 'fallback'
                    WHEN p_outcome = 'nothing' AND t.actions IS NOT NULL THEN turn_silence(t) ELSE p_outcome END;
    wake := turn_finish_locked(t, p_outcome, p_error, 'turn.Finish', p_started, p_attempt);
END $$;
-- +goose StatementEnd

-- A turn that failed, with everything needed to try again.
-- +goose StatementBegin
CREATE FUNCTION dead_letter_turn(t turns, p_step text, p_error text, p_attempts int) RETURNS void LANGUAGE sql AS $$
    INSERT INTO dead_letters (id, tenant_id, instance_id, chat_id, message_id, turn_id, step, error, attempts, input)
    SELECT uuid_v7(), t.tenant_id, t.instance_id, t.chat_id, t.leader, t.id, p_step, p_error,
        greatest(p_attempts, (SELECT max(attempts) FROM messages WHERE turn_id = t.id AND direction = 'outbound' AND status = 'failed' AND p_step = 'deliver.Send')),
        jsonb_build_object('turnId', t.id, 'epoch', t.epoch, 'sessionKey', t.session_key, 'agent', t.agent, 'messages', turn_batch(t.id),
            'parts', (SELECT coalesce(jsonb_agg(jsonb_build_object('id', id, 'index', part_index, 'status', status, 'content', content)
                                      ORDER BY part_index), '[]')
                      FROM messages WHERE turn_id = t.id AND direction = 'outbound'))
    WHERE NOT EXISTS (SELECT FROM dead_letters d WHERE d.turn_id = t.id AND d.step = p_step AND d.status = 'open')
$$;
-- +goose StatementEnd

-- agent.GiveUp: the agent failed for good. The dead letter stays whatever is
-- said to the person. Returns what is true of the turn.
-- +goose StatementBegin
CREATE FUNCTION turn_give_up(p_chat uuid, p_turn uuid, p_workflow text, p_epoch int, p_error text, p_kind text, p_attempts int,
    p_started timestamptz, p_attempt int, OUT state text, OUT parts int) LANGUAGE plpgsql AS $$
DECLARE
    t turns;
BEGIN
    PERFORM FROM chats WHERE id = p_chat FOR NO KEY UPDATE;
    SELECT * INTO STRICT t FROM turns WHERE id = p_turn;
    state := turn_state(t, t.leader, p_workflow);
    parts := t.part_count;
    IF state <> 'closed' OR t.epoch <> p_epoch THEN
        state := CASE WHEN state = 'closed' THEN 'adopted' ELSE state END;
        RETURN;
    END IF;
    IF parts IS NOT NULL THEN
        RETURN;
    END IF;
    IF t.follows IS NOT NULL THEN -- nobody asked anything, so nobody is told of the failure
        parts := 0;
    END IF;
    IF t.error <> '' THEN
        RETURN;
    END IF;
    UPDATE turns SET error = p_error, due_at = greatest(due_at, clock_timestamp() + interval '60 seconds') WHERE id = p_turn;
    PERFORM dead_letter_turn(t, 'agent.Reply', p_error, p_attempts);
    INSERT INTO events (id, tenant_id, type, subject, instance_id, channel, chat_id, correlation_id, data)
    VALUES (uuid_v7(), t.tenant_id, 'agent.error', t.id::text, t.instance_id, t.channel, t.chat_id, t.leader,
            jsonb_build_object('turnId', t.id, 'chatId', t.chat_id, 'instanceId', t.instance_id, 'messageId', t.leader,
                'error', p_error, 'kind', p_kind, 'final', true) || step_data('agent.GiveUp', p_started, p_attempt)
            || jsonb_build_object('attempts', p_attempts)); -- of the agent, not of this step
END $$;
-- +goose StatementEnd

-- Gives an overdue turn whose workflow is gone to another one: compare and set
-- on who held it. Returns the new epoch, or NULL where somebody was quicker.
-- +goose StatementBegin
CREATE FUNCTION turn_adopt(p_chat uuid, p_turn uuid, p_old_workflow text, p_old_epoch int, p_new_workflow text)
RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    new_epoch int;
BEGIN
    PERFORM FROM chats WHERE id = p_chat FOR NO KEY UPDATE;
    UPDATE turns SET workflow_id = p_new_workflow, epoch = epoch + 1, due_at = clock_timestamp() + interval '60 seconds', sender = NULL
    WHERE id = p_turn AND workflow_id = p_old_workflow AND epoch = p_old_epoch AND state IN ('collecting', 'answering', 'reopened')
      AND due_at < clock_timestamp()
    RETURNING epoch INTO new_epoch;
    RETURN new_epoch;
END $$;
-- +goose StatementEnd

-- Human takeover: pauses the chat, cancels its turns and raises their epochs,
-- so that at most the part already handed over still goes out. p_message is the
-- operator's own message, where that is the reason. Returns the turns that were
-- cancelled; NULL where there is no such chat.
-- +goose StatementBegin
CREATE FUNCTION chat_takeover(p_chat uuid, p_until timestamptz, p_reason text, p_by text DEFAULT '', p_message uuid DEFAULT NULL)
RETURNS uuid[] LANGUAGE plpgsql AS $$
DECLARE
    c   chats;
    t   turns;
    ids uuid[] := '{}';
BEGIN
    SELECT * INTO c FROM chats WHERE id = p_chat FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    UPDATE chats SET paused = true, paused_until = p_until, updated_at = clock_timestamp() WHERE id = p_chat;
    FOR t IN SELECT * FROM turns WHERE chat_id = p_chat AND state IN ('collecting', 'answering', 'reopened') LOOP
        UPDATE turns SET epoch = epoch + 1 WHERE id = t.id;
        PERFORM turn_finish_locked(t, 'cancelled', p_reason, 'chat.takeover', clock_timestamp(), 1);
        ids := ids || t.id;
    END LOOP;
    PERFORM follow_ups_cancel(p_chat, 'takeover');
    INSERT INTO events (id, tenant_id, type, subject, instance_id, channel, chat_id, person_id, correlation_id, data)
    VALUES (uuid_v7(), c.tenant_id, 'chat.takeover', c.id::text, c.instance_id, c.channel, c.id, c.person_id, p_message,
            jsonb_strip_nulls(jsonb_build_object('chatId', c.id, 'instanceId', c.instance_id, 'until', p_until, 'reason', p_reason,
                'by', nullif(p_by, ''), 'messageId', p_message, 'cancelledTurnIds', to_jsonb(ids))));
    RETURN ids;
END $$;
-- +goose StatementEnd

-- The agent may answer again. False: there is no such chat.
-- +goose StatementBegin
CREATE FUNCTION chat_resume(p_chat uuid, p_reason text, p_by text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    c chats;
BEGIN
    SELECT * INTO c FROM chats WHERE id = p_chat FOR NO KEY UPDATE;
    IF NOT FOUND OR NOT c.paused THEN
        RETURN c.id IS NOT NULL;
    END IF;
    UPDATE chats SET paused = false, paused_until = NULL, updated_at = clock_timestamp() WHERE id = p_chat;
    INSERT INTO events (id, tenant_id, type, subject, instance_id, channel, chat_id, person_id, data)
    VALUES (uuid_v7(), c.tenant_id, 'chat.resumed', c.id::text, c.instance_id, c.channel, c.id, c.person_id,
            jsonb_strip_nulls(jsonb_build_object('chatId', c.id, 'instanceId', c.instance_id, 'reason', p_reason, 'by', nullif(p_by, ''))));
    RETURN true;
END $$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION turn_give_up(uuid, uuid, text, int, text, text, int, timestamptz, int), chat_resume(uuid, text, text), chat_takeover(uuid, timestamptz, text, text, uuid), turn_adopt(uuid, uuid, text, int, text),
    turn_finish(uuid, uuid, text, int, text, text, text, int, timestamptz, int), dead_letter_turn(turns, text, text, int),
    turn_touch(uuid, text, int, interval),
    turn_answer(uuid, uuid, text, int, text, jsonb, uuid[], int, jsonb, interval, timestamptz, int),
    turn_close(uuid, uuid, text, int, text, interval, interval, jsonb, timestamptz, int),
    turn_join(uuid, uuid, text, text, text, uuid, text, interval, interval, boolean, boolean, text, interval, interval, timestamptz, int),
    turn_close_locked(turns, text, interval, interval, text, timestamptz, int),
    turn_due(timestamptz, interval), turn_closed(turns, jsonb, text, text, timestamptz, int),
    turn_hold(turns, interval, timestamptz, text, timestamptz, int), turn_finish_locked(turns, text, text, text, timestamptz, int, log_entry),
    turns_waiting(uuid), turn_seen(turns, uuid, text), turn_state(turns, uuid, text), turn_batch(uuid), batch_message(messages), quoted_message(messages), reaction_target(messages);
DROP TYPE log_entry, turn_view;
