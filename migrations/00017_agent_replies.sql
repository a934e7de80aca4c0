-- +goose Up

-- Agents that answer later: they accept the turn (202) and send the answer by a
-- call of their own, within their time. What arrives is stored as the answer
-- by whoever is called, whether or not the turn is known to wait for it; the
-- workflow that waits only looks.

-- agent.Reply, before it asks an agent that may answer later: from now on an
-- answer is taken, also one that is quicker than the 202. False: the turn is no
-- longer the caller's, or it is answered.
-- +goose StatementBegin
CREATE FUNCTION turn_ask(p_turn uuid, p_workflow text, p_epoch int, p_within interval) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    UPDATE turns SET asked_at = clock_timestamp(), reply_until = clock_timestamp() + p_within, awaiting = false,
        due_at = greatest(due_at, clock_timestamp() + p_within + interval '60 seconds')
    WHERE id = p_turn AND workflow_id = p_workflow AND epoch = p_epoch AND state = 'answering' AND part_count IS NULL;
    RETURN FOUND;
END $$;
-- +goose StatementEnd

-- The agent has accepted the turn, or its workflow looks again. States: closed
-- (with parts: it is answered), awaiting (look again after wait_ms), late (its
-- time is over: nothing is taken any more), and what is true of a turn that is
-- not the caller's.
-- +goose StatementBegin
CREATE FUNCTION turn_await(p_chat uuid, p_turn uuid, p_workflow text, p_epoch int, OUT state text, OUT parts int, OUT wait_ms int)
LANGUAGE plpgsql AS $$
DECLARE
    t    turns;
    now_ timestamptz;
BEGIN
    PERFORM FROM chats WHERE id = p_chat FOR NO KEY UPDATE;
    SELECT * INTO STRICT t FROM turns WHERE id = p_turn;
    now_ := clock_timestamp();
    state := turn_state(t, t.leader, p_workflow);
    parts := t.part_count;
    IF state = 'closed' AND t.epoch <> p_epoch THEN
        state := 'adopted';
    END IF;
    IF state <> 'closed' OR parts IS NOT NULL THEN
        RETURN;
    ELSIF t.reply_until IS NULL OR t.reply_until <= now_ THEN
        state := 'late';
        RETURN;
    END IF;
    UPDATE turns SET awaiting = true, due_at = greatest(due_at, t.reply_until + interval '60 seconds')
    WHERE id = p_turn AND (NOT awaiting OR due_at < t.reply_until + interval '60 seconds');
    state := 'awaiting';
    wait_ms := ceil(extract(epoch FROM t.reply_until - now_) * 1000);
END $$;
-- +goose StatementEnd

-- POST /turns/{id}/reply. States: accepted, duplicate (the same reply has been
-- accepted), answered, late, over (the turn ended without an answer), not_asked
-- (its agent does not answer later), unknown.
-- +goose StatementBegin
CREATE FUNCTION turn_reply(p_tenant text, p_turn uuid, p_answer text, p_parts jsonb, p_part_ids uuid[], p_hash bytea, p_data jsonb,
    p_deliver_within interval, OUT state text, OUT parts int, OUT workflow text) LANGUAGE plpgsql AS $$
DECLARE
    t turns;
BEGIN
    SELECT * INTO t FROM turns WHERE id = p_turn AND tenant_id = p_tenant;
    IF NOT FOUND THEN
        state := 'unknown';
        RETURN;
    END IF;
    PERFORM FROM chats WHERE id = t.chat_id FOR NO KEY UPDATE;
    SELECT * INTO STRICT t FROM turns WHERE id = p_turn;
    parts := t.part_count; workflow := t.workflow_id;
    state := CASE
        WHEN t.part_count IS NOT NULL THEN CASE WHEN t.reply_hash = p_hash THEN 'duplicate' ELSE 'answered' END
        WHEN t.state <> 'answering' THEN 'over'
        WHEN t.reply_until IS NULL THEN 'not_asked'
        WHEN t.reply_until <= clock_timestamp() THEN 'late'
        ELSE 'accepted' END;
    IF state <> 'accepted' THEN
        RETURN;
    END IF;
    PERFORM FROM turn_answer(t.chat_id, t.id, t.workflow_id, t.epoch, p_answer, p_parts, p_part_ids,
        round(extract(epoch FROM clock_timestamp() - t.asked_at) * 1000)::int, p_data, p_deliver_within, t.asked_at, 1);
    UPDATE turns SET reply_hash = p_hash WHERE id = p_turn;
    parts := jsonb_array_length(p_parts);
END $$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION turn_reply(text, uuid, text, jsonb, uuid[], bytea, jsonb, interval), turn_await(uuid, uuid, text, int),
    turn_ask(uuid, text, int, interval);
