-- +goose Up

-- What turn_join, turn_close and turn_batch ask about bursts, reactions and
-- bots. The chat is locked wherever a turn or a chat is changed.

-- A message joins a turn that still collects. The first message of the chat
-- leads, whichever workflow came first: two messages within milliseconds start
-- side by side. The debounce is the one drawn when the turn began.
-- p_media_within: how long this message's media is waited for, NULL without.
-- +goose StatementBegin
CREATE FUNCTION turn_collect(t turns, m messages, p_workflow text, p_media_within interval) RETURNS turns LANGUAGE plpgsql AS $$
DECLARE
    now_  timestamptz := clock_timestamp();
    leads boolean := m.seq < (SELECT seq FROM messages WHERE id = t.leader);
    alive timestamptz := now_ + t.quiet_for + interval '60 seconds';
BEGIN
    UPDATE messages SET turn_id = t.id, status = 'processing', updated_at = now_ WHERE id = m.id;
    UPDATE turns SET
        last_at = now_, last_seq = greatest(last_seq, m.seq), quiet_at = least(now_ + quiet_for, latest_at),
        leader = CASE WHEN leads THEN m.id ELSE leader END,
        workflow_id = CASE WHEN leads THEN p_workflow ELSE workflow_id END,
        -- A turn that is overdue stays so, whatever joins, until somebody has looked after its leader.
        due_at = CASE WHEN leads THEN alive WHEN due_at < now_ THEN due_at ELSE greatest(due_at, alive) END,
        media_pending = CASE WHEN p_media_within IS NULL THEN media_pending ELSE media_pending || m.id END,
        media_until = CASE WHEN p_media_within IS NULL THEN media_until ELSE greatest(media_until, now_ + p_media_within) END
    WHERE id = t.id
    RETURNING * INTO t;
    RETURN t;
END $$;
-- +goose StatementEnd

-- What is true of a turn for a workflow that leads it, or did: a message that
-- led until an earlier one came is a follower now.
-- +goose StatementBegin
CREATE FUNCTION turn_seen_by(t turns, p_workflow text) RETURNS turn_view LANGUAGE plpgsql AS $$
BEGIN
    RETURN turn_seen(t, CASE WHEN t.workflow_id = p_workflow THEN t.leader ELSE coalesce(
        (SELECT id FROM messages WHERE turn_id = t.id AND id <> t.leader AND p_workflow = 'message/' || id), t.leader) END, p_workflow);
END $$;
-- +goose StatementEnd

-- Typing puts the closing of a turn off, never beyond its cap. p_typing is an
-- array of {sender, seq, leftMs}: who typed at which place of the stream, and
-- how much longer that holds. It counts for whoever is in the turn (sender ''
-- is anybody) and has written nothing since.
-- +goose StatementBegin
CREATE FUNCTION turn_typing(t turns, p_typing jsonb) RETURNS turns LANGUAGE plpgsql AS $$
DECLARE
    hold timestamptz;
BEGIN
    IF t.quiet_for <= interval '0' THEN
        RETURN t;
    END IF;
    SELECT clock_timestamp() + max(x."leftMs") * interval '1 millisecond' INTO hold
    FROM jsonb_to_recordset(p_typing) AS x(sender text, seq bigint, "leftMs" int)
    WHERE (x.sender = '' OR EXISTS (SELECT FROM messages m WHERE m.turn_id = t.id AND m.sender_platform_id = x.sender))
      AND NOT EXISTS (SELECT FROM messages m WHERE m.turn_id = t.id AND m.seq > x.seq
                                               AND (x.sender = '' OR m.sender_platform_id = x.sender));
    -- (Without a hold, least would be the cap.)
    IF hold IS NOT NULL AND least(hold, t.latest_at) > t.quiet_at THEN
        UPDATE turns SET quiet_at = least(hold, latest_at) WHERE id = t.id RETURNING * INTO t;
    END IF;
    RETURN t;
END $$;
-- +goose StatementEnd

-- turn.Ready: the media of a message is processed, or given up. The last one
-- names the workflow to wake, unless it is the caller's own.
-- +goose StatementBegin
CREATE FUNCTION turn_ready(p_chat uuid, p_message uuid, p_workflow text, OUT seen turn_view, OUT wake text) LANGUAGE plpgsql AS $$
DECLARE
    t turns;
BEGIN
    PERFORM FROM chats WHERE id = p_chat FOR NO KEY UPDATE;
    SELECT * INTO t FROM turns WHERE id = (SELECT turn_id FROM messages WHERE id = p_message);
    IF NOT FOUND THEN
        RETURN; -- it has not joined
    END IF;
    IF p_message = ANY (t.media_pending) THEN
        UPDATE turns SET media_pending = array_remove(media_pending, p_message) WHERE id = t.id RETURNING * INTO t;
    END IF;
    seen := turn_seen(t, p_message, p_workflow);
    IF t.state = 'collecting' AND t.media_pending = '{}' AND t.workflow_id <> p_workflow THEN
        wake := t.workflow_id;
    END IF;
END $$;
-- +goose StatementEnd

-- Whether a program wrote a message: its platform says so, or it repeats word
-- for word, at once, a longer text that we have just said and nobody before us.
-- No person types or pastes that fast; somebody who only says the same thing
-- again and again is not taken for a program.
-- +goose StatementBegin
CREATE FUNCTION from_bot(m messages) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF coalesce((m.facts ->> 'isBot')::boolean, false) THEN
        RETURN true;
    END IF;
    IF m.kind <> 'message' OR length(m.text) < 20 THEN
        RETURN false;
    END IF;
    RETURN EXISTS (
        SELECT FROM messages o
        WHERE o.chat_id = m.chat_id AND o.created_at BETWEEN m.created_at - interval '1 minute' AND m.created_at
          AND o.direction = 'outbound' AND o.turn_id IS NOT NULL AND o.text = m.text AND o.status <> 'queued'
          AND coalesce(o.sent_at, o.updated_at) > m.created_at - interval '2 seconds'
          AND NOT EXISTS (SELECT FROM messages i
                          WHERE i.chat_id = m.chat_id AND i.created_at BETWEEN m.created_at - interval '10 minutes' AND o.created_at
                            AND i.direction = 'inbound' AND i.text = m.text));
END $$;
-- +goose StatementEnd

-- Two bots that answer each other never stop by themselves: the fifth turn in
-- a row that a bot begins, with no person's message between, is not answered,
-- nor is any later one until a person writes. Bots that were silent for an hour
-- are not in a conversation: they begin anew. Counts the turn that m is to
-- begin; true: refused, and said in the log once.
-- +goose StatementBegin
CREATE FUNCTION bot_loop(c chats, m messages, p_started timestamptz, p_attempt int) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    allowed CONSTANT int := 4;
    now_ timestamptz := clock_timestamp();
    turn int;
BEGIN
    IF NOT from_bot(m) THEN
        RETURN false;
    END IF;
    turn := CASE WHEN c.bot_turn_at > now_ - interval '1 hour' THEN c.bot_turns ELSE 0 END + 1;
    UPDATE chats SET bot_turns = turn, bot_turn_at = now_ WHERE id = c.id;
    IF turn <= allowed THEN
        RETURN false;
    END IF;
    UPDATE messages SET status = 'ignored', status_reason = 'bot_loop', updated_at = now_ WHERE id = m.id;
    IF turn = allowed + 1 THEN
        INSERT INTO events (id, tenant_id, type, subject, instance_id, channel, chat_id, person_id, correlation_id, traceparent, data)
        VALUES (uuid_v7(), m.tenant_id, 'turn.cancelled', m.id::text, m.instance_id, m.channel, m.chat_id, m.person_id, m.id, m.traceparent,
                jsonb_build_object('chatId', m.chat_id, 'instanceId', m.instance_id, 'messageId', m.id, 'outcome', 'ignored',
                                   'reason', 'bot_loop', 'error', '', 'turns', allowed)
                || step_data('turn.Join', p_started, p_attempt));
    END IF;
    RETURN true;
END $$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION bot_loop(chats, messages, timestamptz, int), from_bot(messages),
    turn_ready(uuid, uuid, text), turn_typing(turns, jsonb), turn_seen_by(turns, text), turn_collect(turns, messages, text, interval);
