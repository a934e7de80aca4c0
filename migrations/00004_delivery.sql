-- +goose Up

-- Parts: outbound rows of messages. A part is claimed, committed, handed over,
-- receipted. One sender per turn, one delivery at a time per chat; both are
-- leases of 15 seconds that every claim renews.
--
-- A sender is <owner>/<process>/<n>. Two processes of the same owner never
-- live at once (the embedded hub locks its data directory), so a lease of the
-- owner's former process is void.

CREATE TYPE part_view AS (
    state          text,  -- claimed resume settle busy later done stopped cancelled adopted expired
    message_id     uuid,
    part_index     int,
    part_count     int,
    content        jsonb,
    attempts       int,
    chat_external  text,
    chat_type      text,
    reply_external text,
    wait_ms        int,
    sent           int,   -- parts delivered so far
    error          text
);

-- +goose StatementBegin
CREATE FUNCTION lease_free(p_holder text, p_until timestamptz, p_sender text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    RETURN p_holder IS NULL OR p_holder = p_sender OR p_until < clock_timestamp()
        OR (split_part(p_holder, '/', 1) = split_part(p_sender, '/', 1) AND split_part(p_holder, '/', 2) <> split_part(p_sender, '/', 2));
END $$;
-- +goose StatementEnd

-- Hands out one part whose turn it is; the chat is locked and leased.
-- +goose StatementBegin
CREATE FUNCTION part_take(m messages, c chats, p_epoch int, p_started timestamptz) RETURNS part_view LANGUAGE plpgsql AS $$
BEGIN
    UPDATE messages SET status = 'sending', attempts = m.attempts + 1, epoch = p_epoch, updated_at = clock_timestamp() WHERE id = m.id;
    IF m.attempts = 0 THEN
        INSERT INTO events (id, tenant_id, type, subject, instance_id, channel, chat_id, person_id, correlation_id, data)
        VALUES (uuid_v7(), m.tenant_id, 'message.sending', m.id::text, m.instance_id, m.channel, m.chat_id, m.person_id, m.correlation_id,
                jsonb_strip_nulls(jsonb_build_object('messageId', m.id, 'chatId', m.chat_id, 'personId', m.person_id,
                    'instanceId', m.instance_id, 'direction', 'outbound', 'turnId', m.turn_id, 'content', m.content,
                    'part', jsonb_build_object('index', m.part_index, 'count', m.part_count))));
    END IF;
    -- Found in sending: a former sender may or may not have handed it over.
    RETURN (CASE m.status WHEN 'sending' THEN 'resume' ELSE 'claimed' END, m.id, m.part_index, m.part_count, m.content, m.attempts + 1,
            c.external_id, c.type, m.reply_to_external, NULL, NULL, NULL)::part_view;
END $$;
-- +goose StatementEnd

-- A turn that was cut off: no further part leaves, but one that may have been
-- handed over before needs its outcome. It is asked for, not sent again. The
-- chat is locked.
-- +goose StatementBegin
CREATE FUNCTION part_settle(c chats, t turns, p_epoch int, p_sender text, p_started timestamptz, p_sent int)
RETURNS part_view LANGUAGE plpgsql AS $$
DECLARE
    m messages;
    v part_view;
BEGIN
    SELECT * INTO m FROM messages WHERE turn_id = t.id AND direction = 'outbound' AND status = 'sending' ORDER BY part_index LIMIT 1;
    IF NOT FOUND THEN
        v.state := 'cancelled';
    ELSIF NOT lease_free(t.sender, t.sender_until, p_sender) THEN
        v.state := 'busy'; v.wait_ms := 100;
    ELSE
        UPDATE turns SET sender = p_sender, sender_until = clock_timestamp() + interval '15 seconds' WHERE id = t.id;
        v := part_take(m, c, p_epoch, p_started);
        v.state := 'settle';
    END IF;
    v.sent := p_sent;
    RETURN v;
END $$;
-- +goose StatementEnd

-- The next part of a turn's reply, for the turn's one sender.
-- +goose StatementBegin
CREATE FUNCTION part_claim(p_chat uuid, p_turn uuid, p_workflow text, p_epoch int, p_sender text, p_ttl interval,
    p_skip_unknown boolean, p_started timestamptz) RETURNS part_view LANGUAGE plpgsql AS $$
DECLARE
    c chats;
    t turns;
    m messages;
    v part_view;
    taken part_view;
    now_ timestamptz;
BEGIN
    SELECT * INTO STRICT c FROM chats WHERE id = p_chat FOR NO KEY UPDATE;
    SELECT * INTO STRICT t FROM turns WHERE id = p_turn;
    now_ := clock_timestamp();
    SELECT * INTO m FROM messages
    WHERE turn_id = p_turn AND direction = 'outbound' AND status NOT IN ('sent', 'delivered', 'read')
      AND NOT (p_skip_unknown AND status = 'unknown')
      AND NOT (kind = 'reaction' AND status = 'failed') -- the words, and what else is wanted, do not depend on an emoji
    ORDER BY part_index LIMIT 1;
    v.sent := 0;
    IF m.part_index IS DISTINCT FROM 0 THEN
        SELECT count(*) INTO v.sent FROM messages
        WHERE turn_id = p_turn AND direction = 'outbound' AND status IN ('sent', 'delivered', 'read');
    END IF;
    IF t.state = 'answered' THEN
        v.state := 'done';
        RETURN v;
    ELSIF t.state = 'reopened' THEN -- a retry goes on with it
        v.state := 'adopted';
        RETURN v;
    ELSIF t.state <> 'answering' THEN
        RETURN part_settle(c, t, p_epoch, p_sender, p_started, v.sent);
    END IF;
    IF t.workflow_id <> p_workflow OR t.epoch <> p_epoch THEN
        v.state := 'adopted';
        RETURN v;
    END IF;
    IF NOT lease_free(t.sender, t.sender_until, p_sender) THEN
        v.state := 'busy'; v.wait_ms := ceil(extract(epoch FROM t.sender_until - now_) * 1000);
        RETURN v;
    END IF;
    IF c.delivering IS NOT NULL AND c.delivering <> p_turn AND c.delivering_until > now_
       -- A turn that was cut off holds it for the part under way; not if its sender's process is gone.
       AND NOT EXISTS (SELECT FROM turns x WHERE x.id = c.delivering AND lease_free(x.sender, x.sender_until, p_sender)) THEN
        v.state := 'busy'; v.wait_ms := 100;
        RETURN v;
    END IF;
    IF m.id IS NULL THEN
        v.state := 'done';
        RETURN v;
    END IF;
    IF m.status NOT IN ('queued', 'sending') THEN
        v.state := 'stopped'; v.message_id := m.id; v.error := m.error; v.part_index := m.part_index;
        v.content := to_jsonb(m.status);
        RETURN v;
    END IF;
    -- The moment of a follow-up: what was recorded until now ends it unsent.
    IF t.follows IS NOT NULL AND v.sent = 0 AND m.status = 'queued' AND follow_up_withdrawn(t, 'deliver.Send', p_started, 1) THEN
        v.state := 'cancelled';
        RETURN v;
    END IF;
    IF v.sent = 0 AND m.status = 'queued' AND coalesce(t.reopened_at, t.closed_at) + p_ttl < now_ THEN
        IF parts_doubted(t.id, NULL) THEN -- it may have been begun
            v.state := 'stopped'; v.message_id := m.id; v.error := too_old(p_ttl); v.part_index := m.part_index;
            v.content := to_jsonb('unknown'::text);
            RETURN v;
        END IF;
        v.state := 'expired'; v.error := parts_expire(t, p_ttl);
        RETURN v;
    END IF;
    IF m.status = 'queued' AND m.retry_at > now_ THEN
        v.state := 'later'; v.error := m.error; v.wait_ms := ceil(extract(epoch FROM m.retry_at - now_) * 1000);
        RETURN v;
    END IF;
    UPDATE turns SET sender = p_sender, sender_until = now_ + interval '15 seconds', due_at = turn_due(due_at, interval '60 seconds')
    WHERE id = p_turn;
    UPDATE chats SET delivering = p_turn, delivering_until = now_ + interval '15 seconds' WHERE id = p_chat;
    taken := part_take(m, c, p_epoch, p_started);
    taken.sent := v.sent;
    RETURN taken;
END $$;
-- +goose StatementEnd

-- An outbound message sent by API: a part of its own.
-- +goose StatementBegin
CREATE FUNCTION outbound_claim(p_chat uuid, p_message uuid, p_sender text, p_ttl interval, p_started timestamptz)
RETURNS part_view LANGUAGE plpgsql AS $$
DECLARE
    c chats;
    m messages;
    v part_view;
    now_ timestamptz;
BEGIN
    SELECT * INTO STRICT c FROM chats WHERE id = p_chat FOR NO KEY UPDATE;
    SELECT * INTO STRICT m FROM messages WHERE id = p_message;
    now_ := clock_timestamp();
    v.message_id := m.id; v.sent := 0;
    IF part_withheld(m) THEN
        v.state := 'cancelled';
        RETURN v;
    END IF;
    IF m.status IN ('sent', 'delivered', 'read') THEN
        v.state := 'done'; v.sent := 1;
        RETURN v;
    ELSIF m.status NOT IN ('queued', 'scheduled', 'sending') THEN
        v.state := CASE m.status WHEN 'cancelled' THEN 'cancelled' WHEN 'expired' THEN 'expired' ELSE 'stopped' END;
        v.error := m.error; v.content := to_jsonb(m.status);
        RETURN v;
    END IF;
    IF m.status = 'scheduled' AND m.send_at > now_ THEN -- its workflow was woken before its time
        v.state := 'busy'; v.wait_ms := ceil(extract(epoch FROM m.send_at - now_) * 1000);
        RETURN v;
    END IF;
    -- The sender of an outbound message is on the chat: its unit is the message.
    IF c.delivering IS NOT NULL AND c.delivering <> p_message AND c.delivering_until > now_ THEN
        v.state := 'busy'; v.wait_ms := 100;
        RETURN v;
    END IF;
    IF m.status <> 'sending' AND coalesce(m.send_at, m.created_at) + p_ttl < now_ THEN
        v.error := too_old(p_ttl);
        IF parts_doubted(NULL, p_message) THEN
            v.state := 'stopped'; v.content := to_jsonb('unknown'::text);
            RETURN v;
        END IF;
        UPDATE messages SET status = 'expired', status_reason = v.error, error = v.error, updated_at = now_ WHERE id = p_message;
        INSERT INTO events (id, tenant_id, type, subject, instance_id, channel, chat_id, person_id, correlation_id, data)
        VALUES (uuid_v7(), m.tenant_id, 'message.expired', m.id::text, m.instance_id, m.channel, m.chat_id, m.person_id, m.correlation_id,
                jsonb_build_object('messageId', m.id, 'chatId', m.chat_id, 'instanceId', m.instance_id, 'direction', 'outbound',
                    'error', v.error));
        v.state := 'expired';
        RETURN v;
    END IF;
    IF m.status = 'queued' AND m.retry_at > now_ THEN
        v.state := 'later'; v.error := m.error; v.wait_ms := ceil(extract(epoch FROM m.retry_at - now_) * 1000);
        RETURN v;
    END IF;
    UPDATE chats SET delivering = p_message, delivering_until = now_ + interval '15 seconds' WHERE id = p_chat;
    RETURN part_take(m, c, 0, p_started);
END $$;
-- +goose StatementEnd

-- What came of a part. 'queued': known not to have been sent, to be tried
-- again, and not before p_retry. The receipt of the last part finishes the turn in the same
-- transaction. An unknown part may still become sent (a late receipt).
-- +goose StatementBegin
CREATE FUNCTION part_receipt(p_chat uuid, p_message uuid, p_status text, p_external text, p_error text, p_turn uuid,
    p_workflow text, p_epoch int, p_finish_as text, p_started timestamptz, p_attempt int, p_retry interval,
    OUT finished boolean, OUT wake text[]) LANGUAGE plpgsql AS $$
DECLARE
    m    messages;
    t    turns;
    said log_entry;
BEGIN
    finished := false; wake := '{}';
    PERFORM FROM chats WHERE id = p_chat FOR NO KEY UPDATE;
    UPDATE messages SET status = p_status, error = p_error, updated_at = clock_timestamp(),
        external_id = CASE WHEN p_external <> '' THEN p_external ELSE external_id END,
        sent_at = CASE WHEN p_status = 'sent' THEN clock_timestamp() ELSE sent_at END,
        retry_at = CASE WHEN p_status = 'queued' THEN clock_timestamp() + p_retry END
    WHERE id = p_message AND (status IN ('sending', 'unknown') OR status = 'queued' AND p_status <> 'queued')
    RETURNING * INTO m;
    IF NOT FOUND THEN
        -- Receipted before: say again what followed from it.
        SELECT * INTO STRICT m FROM messages WHERE id = p_message;
    ELSIF p_status <> 'queued' THEN
        said := ('message.' || p_status, m.id::text, m.person_id, jsonb_strip_nulls(jsonb_build_object(
                'messageId', m.id, 'chatId', m.chat_id, 'personId', m.person_id, 'instanceId', m.instance_id, 'direction', 'outbound',
                'externalId', m.external_id, 'turnId', m.turn_id, 'content', m.content,
                'part', jsonb_build_object('index', m.part_index, 'count', m.part_count), 'error', nullif(p_error, '')))
            || step_data('deliver.Send', p_started, p_attempt));
        IF p_turn IS NULL AND p_status = 'failed' THEN
            PERFORM dead_letter_outbound(m, 'deliver.Send', p_error);
        END IF;
    END IF;
    IF p_turn IS NOT NULL THEN
        SELECT * INTO STRICT t FROM turns WHERE id = p_turn;
        -- Of a turn that was cancelled or adopted while the part was on its way, whoever did it goes on.
        finished := p_status = 'sent' AND t.state = 'answering' AND t.workflow_id = p_workflow AND t.epoch = p_epoch
            AND (t.part_count = 1 OR NOT EXISTS (SELECT FROM messages WHERE turn_id = p_turn AND direction = 'outbound'
                                                 AND status NOT IN ('sent', 'delivered', 'read')));
    END IF;
    IF finished THEN
        wake := turn_finish_locked(t, p_finish_as, CASE WHEN p_finish_as = 'answered' THEN '' ELSE t.error END, 'turn.Finish',
            clock_timestamp(), 1, said);
        RETURN;
    END IF;
    INSERT INTO events (id, tenant_id, type, subject, instance_id, channel, chat_id, person_id, correlation_id, data)
    SELECT uuid_v7(), m.tenant_id, said.type, said.subject, m.instance_id, m.channel, m.chat_id, m.person_id, m.correlation_id, said.data
    WHERE said.type IS NOT NULL;
    IF p_turn IS NULL THEN
        UPDATE chats SET delivering = NULL WHERE id = p_chat AND delivering = p_message;
        finished := true;
    ELSIF p_status = 'queued' AND t.state NOT IN ('answering', 'answered', 'reopened') THEN
        -- Cut off while the part was on its way: it is not tried again.
        PERFORM parts_doubted(NULL, p_message);
        UPDATE messages SET status = 'cancelled', status_reason = t.outcome WHERE id = p_message AND status = 'queued';
    ELSIF p_status = 'queued' AND t.state = 'answering' AND t.workflow_id = p_workflow AND t.epoch = p_epoch THEN
        UPDATE turns SET sender = NULL WHERE id = p_turn;
        UPDATE chats SET delivering = NULL WHERE id = p_chat AND delivering = p_turn;
    END IF;
END $$;
-- +goose StatementEnd

-- Keeps a sender's leases for another while. Like every call it locks the chat
-- first: the other way round it would wait for a claim that waits for it. The
-- chat's lease has no holder but the turn's sender, so one that was replaced
-- neither keeps nor gives back what is another's by now.
-- +goose StatementBegin
CREATE FUNCTION sender_renew(p_chat uuid, p_unit uuid, p_sender text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM chats WHERE id = p_chat FOR NO KEY UPDATE;
    UPDATE turns SET sender_until = clock_timestamp() + interval '15 seconds',
        due_at = greatest(due_at, clock_timestamp() + interval '60 seconds')
    WHERE id = p_unit AND sender = p_sender;
    IF FOUND OR NOT EXISTS (SELECT FROM turns WHERE id = p_unit) THEN
        UPDATE chats SET delivering_until = clock_timestamp() + interval '15 seconds' WHERE id = p_chat AND delivering = p_unit;
    END IF;
END $$;
-- +goose StatementEnd

-- Gives the leases back, where a sender stops without a receipt.
-- +goose StatementBegin
CREATE FUNCTION sender_release(p_chat uuid, p_unit uuid, p_sender text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM chats WHERE id = p_chat FOR NO KEY UPDATE;
    UPDATE turns SET sender = NULL WHERE id = p_unit AND sender = p_sender;
    IF FOUND OR NOT EXISTS (SELECT FROM turns WHERE id = p_unit AND sender IS NOT NULL) THEN
        UPDATE chats SET delivering = NULL WHERE id = p_chat AND delivering = p_unit;
    END IF;
END $$;
-- +goose StatementEnd

-- An answer of one part, and that part claimed, in one transaction: for a
-- caller that hands it over at once, on a channel that takes a client id. A
-- crash between the two is then a part found in sending, like any other.
-- +goose StatementBegin
CREATE FUNCTION turn_answer_claim(p_chat uuid, p_turn uuid, p_workflow text, p_epoch int, p_answer text, p_parts jsonb,
    p_part_ids uuid[], p_agent_ms int, p_data jsonb, p_deliver_within interval, p_started timestamptz, p_attempt int,
    p_sender text, p_ttl interval, p_skip_unknown boolean, OUT state text, OUT parts int, OUT claim part_view) LANGUAGE plpgsql AS $$
BEGIN
    SELECT a.state, a.parts INTO state, parts
    FROM turn_answer(p_chat, p_turn, p_workflow, p_epoch, p_answer, p_parts, p_part_ids, p_agent_ms, p_data, p_deliver_within,
        p_started, p_attempt) a;
    IF state = 'closed' AND parts = 1 THEN
        claim := part_claim(p_chat, p_turn, p_workflow, p_epoch, p_sender, p_ttl, p_skip_unknown, p_started);
    END IF;
END $$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION turn_answer_claim(uuid, uuid, text, int, text, jsonb, uuid[], int, jsonb, interval, timestamptz, int, text, interval, boolean);
DROP FUNCTION sender_release(uuid, uuid, text), sender_renew(uuid, uuid, text),
    part_receipt(uuid, uuid, text, text, text, uuid, text, int, text, timestamptz, int, interval),
    outbound_claim(uuid, uuid, text, interval, timestamptz),
    part_claim(uuid, uuid, text, int, text, interval, boolean, timestamptz), part_settle(chats, turns, int, text, timestamptz, int),
    part_take(messages, chats, int, timestamptz), lease_free(text, timestamptz, text);
DROP TYPE part_view;
