-- +goose Up

-- Live parts: what a channel shows of an answer while the agent says it. A
-- live part is a part like any other, begun before the answer is whole: its row
-- is claimed ('sending') and committed before its first text leaves, and stays
-- 'sending' until its last edit, the final text, is made. Where its turn ends
-- before that, it is settled as what people saw of it.

ALTER TABLE messages
    ADD COLUMN shown  text,                   -- live: the text of its first send, then that of the last edit known to be made
    ADD COLUMN bubble int NOT NULL DEFAULT 0; -- times that it was begun anew, because the platform would not edit it
ALTER TABLE turns ADD COLUMN live boolean NOT NULL DEFAULT false; -- it has had live parts

-- The live parts of a turn that are not over.
-- +goose StatementBegin
CREATE FUNCTION live_rows(p_turn uuid) RETURNS SETOF messages LANGUAGE sql STABLE AS $$
    SELECT * FROM messages
    WHERE turn_id = p_turn AND direction = 'outbound' AND shown IS NOT NULL AND bubble = 0 AND deleted_at IS NULL
      AND status IN ('sending', 'queued')
    ORDER BY part_index
$$;
-- +goose StatementEnd

CREATE TYPE live_view AS (
    -- claimed  send it
    -- resume   a former sender may have sent it
    -- live     it is there: edit it
    -- busy     another delivery of the chat is at work: ask again
    -- over     the turn is not the caller's to answer any more, or has its answer
    state          text,
    message_id     uuid,
    part_index     int,
    external_id    text,
    shown          text,
    chat_external  text,
    chat_type      text,
    reply_external text
);

-- Takes a live part for the turn's one sender, or begins it with its first text.
-- +goose StatementBegin
CREATE FUNCTION live_claim(p_chat uuid, p_turn uuid, p_workflow text, p_epoch int, p_sender text, p_index int, p_id uuid, p_text text)
RETURNS live_view LANGUAGE plpgsql AS $$
DECLARE
    c    chats;
    t    turns;
    m    messages;
    lead messages;
    v    live_view;
    now_ timestamptz;
BEGIN
    SELECT * INTO STRICT c FROM chats WHERE id = p_chat FOR NO KEY UPDATE;
    SELECT * INTO STRICT t FROM turns WHERE id = p_turn;
    now_ := clock_timestamp();
    -- A follow-up is decided about at the claim of its first part: it is not begun before.
    IF t.state <> 'answering' OR t.workflow_id <> p_workflow OR t.epoch <> p_epoch OR t.part_count IS NOT NULL OR t.follows IS NOT NULL THEN
        v.state := 'over';
        RETURN v;
    END IF;
    SELECT * INTO m FROM live_rows(p_turn) WHERE part_index = p_index;
    IF NOT lease_free(t.sender, t.sender_until, p_sender) OR m.status = 'queued' AND m.retry_at > now_
       OR c.delivering IS NOT NULL AND c.delivering <> p_turn AND c.delivering_until > now_
          AND NOT EXISTS (SELECT FROM turns x WHERE x.id = c.delivering AND lease_free(x.sender, x.sender_until, p_sender)) THEN
        v.state := 'busy';
        RETURN v;
    END IF;
    UPDATE turns SET live = true, sender = p_sender, sender_until = now_ + interval '15 seconds',
        due_at = greatest(due_at, now_ + interval '60 seconds')
    WHERE id = p_turn;
    UPDATE chats SET delivering = p_turn, delivering_until = now_ + interval '15 seconds' WHERE id = p_chat;
    IF m.id IS NULL THEN
        v.state := 'claimed';
        SELECT * INTO STRICT lead FROM messages WHERE id = t.leader;
        INSERT INTO messages (id, tenant_id, instance_id, channel, chat_id, person_id, identity_id, direction, content, text, shown, status, turn_id,
                              correlation_id, part_index, attempts, epoch, reply_to, reply_to_external)
        -- After a retry the id may be that of a part that was delivered.
        VALUES (CASE WHEN EXISTS (SELECT FROM messages WHERE id = p_id) THEN uuid_v7() ELSE p_id END,
                t.tenant_id, t.instance_id, t.channel, t.chat_id, lead.person_id, lead.identity_id, 'outbound',
                jsonb_build_object('type', 'text', 'text', p_text), p_text, p_text, 'sending', t.id, t.leader, p_index, 1, p_epoch, t.leader,
                CASE lead.kind WHEN 'reaction' THEN lead.reply_to_external ELSE lead.external_id END)
        RETURNING * INTO m;
        INSERT INTO events (id, tenant_id, type, subject, instance_id, channel, chat_id, person_id, correlation_id, data)
        VALUES (uuid_v7(), m.tenant_id, 'message.sending', m.id::text, m.instance_id, m.channel, m.chat_id, m.person_id, m.correlation_id,
                jsonb_strip_nulls(jsonb_build_object('messageId', m.id, 'chatId', m.chat_id, 'personId', m.person_id,
                    'instanceId', m.instance_id, 'direction', 'outbound', 'turnId', m.turn_id, 'content', m.content, 'live', true,
                    'part', jsonb_build_object('index', m.part_index, 'count', 0))));
    ELSE
        v.state := CASE WHEN m.external_id <> '' THEN 'live' WHEN m.status = 'queued' THEN 'claimed' ELSE 'resume' END;
        UPDATE messages SET status = 'sending', attempts = attempts + 1, epoch = p_epoch, updated_at = now_, retry_at = NULL,
            shown   = CASE v.state WHEN 'claimed' THEN p_text ELSE shown END,
            text    = CASE v.state WHEN 'claimed' THEN p_text ELSE text END,
            content = CASE v.state WHEN 'claimed' THEN jsonb_build_object('type', 'text', 'text', p_text) ELSE content END
        WHERE id = m.id
        RETURNING * INTO m;
    END IF;
    v.message_id := m.id; v.part_index := m.part_index; v.external_id := m.external_id; v.shown := m.shown;
    v.chat_external := c.external_id; v.chat_type := c.type; v.reply_external := m.reply_to_external;
    RETURN v;
END $$;
-- +goose StatementEnd

-- What the platform shows of a live part by now; it is noted also where the
-- turn is over. True: the turn is still the caller's to answer, and its leases
-- are renewed.
-- +goose StatementBegin
CREATE FUNCTION live_shown(p_chat uuid, p_turn uuid, p_workflow text, p_epoch int, p_sender text, p_message uuid, p_external text,
    p_text text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    now_ timestamptz;
BEGIN
    PERFORM FROM chats WHERE id = p_chat FOR NO KEY UPDATE;
    now_ := clock_timestamp();
    UPDATE messages SET shown = p_text, updated_at = now_, external_id = CASE WHEN p_external <> '' THEN p_external ELSE external_id END,
        -- With its answer the row holds the final text.
        text    = CASE part_count WHEN 0 THEN p_text ELSE text END,
        content = CASE part_count WHEN 0 THEN jsonb_build_object('type', 'text', 'text', p_text) ELSE content END
    WHERE id = p_message AND status = 'sending' AND bubble = 0;
    UPDATE turns SET sender_until = now_ + interval '15 seconds', due_at = greatest(due_at, now_ + interval '60 seconds')
    WHERE id = p_turn AND sender = p_sender AND state || '' = 'answering' AND workflow_id = p_workflow AND epoch = p_epoch AND part_count IS NULL;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    UPDATE chats SET delivering_until = now_ + interval '15 seconds' WHERE id = p_chat AND delivering = p_turn;
    RETURN true;
END $$;
-- +goose StatementEnd

-- A live part that gets no further text is what people saw of it: sent, in
-- part. The chat is locked.
-- +goose StatementBegin
CREATE FUNCTION live_settle_locked(p_message uuid, p_external text, p_reason text, p_deleted boolean) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    now_ timestamptz := clock_timestamp();
    m    messages;
BEGIN
    UPDATE messages SET status = 'sent', status_reason = p_reason, error = '', updated_at = now_, sent_at = coalesce(sent_at, now_),
        external_id = CASE WHEN p_external <> '' THEN p_external ELSE external_id END,
        deleted_at = CASE WHEN p_deleted THEN now_ END, text = shown, content = jsonb_build_object('type', 'text', 'text', shown)
    WHERE id = p_message AND shown IS NOT NULL AND bubble = 0 AND status IN ('sending', 'queued', 'unknown')
    RETURNING * INTO m;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    INSERT INTO events (id, tenant_id, type, subject, instance_id, channel, chat_id, person_id, correlation_id, data)
    SELECT uuid_v7(), m.tenant_id, e.type, m.id::text, m.instance_id, m.channel, m.chat_id, m.person_id, m.correlation_id,
        jsonb_strip_nulls(jsonb_build_object('messageId', m.id, 'chatId', m.chat_id, 'personId', m.person_id, 'instanceId', m.instance_id,
            'direction', 'outbound', 'externalId', m.external_id, 'turnId', m.turn_id, 'content', m.content, 'partial', true, 'reason', p_reason,
            'part', jsonb_build_object('index', m.part_index, 'count', m.part_count)))
    FROM (VALUES (1, 'message.sent'), (2, 'message.deleted')) AS e(n, type)
    WHERE e.n = 1 OR p_deleted
    ORDER BY e.n;
END $$;
-- +goose StatementEnd

-- The same, by whoever wrote it or goes on for them. Without a reason it is
-- the outcome of its turn.
-- +goose StatementBegin
CREATE FUNCTION live_settle(p_chat uuid, p_message uuid, p_external text, p_reason text, p_deleted boolean) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM chats WHERE id = p_chat FOR NO KEY UPDATE;
    IF p_reason = '' THEN
        SELECT 'cut off: ' || coalesce(nullif(t.outcome, ''), 'failed') INTO p_reason
        FROM messages m JOIN turns t ON t.id = m.turn_id WHERE m.id = p_message;
    END IF;
    PERFORM live_settle_locked(p_message, p_external, coalesce(p_reason, 'cut off'), p_deleted);
END $$;
-- +goose StatementEnd

-- The answer of a turn with live parts: they become its first parts, and get
-- their final text by an edit. Returns the parts with null for those. What was
-- shown and is no part of the answer stays as it is. The chat is locked.
-- +goose StatementBegin
CREATE FUNCTION live_adopt(t turns, p_parts jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    m    messages;
    part jsonb;
BEGIN
    FOR m IN SELECT * FROM live_rows(t.id) LOOP
        part := p_parts -> m.part_index;
        IF part ->> 'type' = 'text' THEN
            UPDATE messages SET content = part, text = part ->> 'text', part_count = t.part_count, updated_at = clock_timestamp() WHERE id = m.id;
            p_parts := jsonb_set(p_parts, ARRAY[m.part_index::text], 'null');
        ELSIF m.external_id <> '' THEN
            PERFORM live_settle_locked(m.id, '', 'left over: the answer became another one', false);
        ELSE
            UPDATE messages SET turn_id = NULL, status = CASE status WHEN 'queued' THEN 'cancelled' ELSE 'unknown' END,
                status_reason = 'the answer became another one', updated_at = clock_timestamp()
            WHERE id = m.id;
        END IF;
    END LOOP;
    RETURN p_parts;
END $$;
-- +goose StatementEnd

-- The platform does not let a live part be finished where it is: it goes out
-- as another bubble, whole, or (p_rest) only what is not shown yet.
-- +goose StatementBegin
CREATE FUNCTION live_replace(p_chat uuid, p_message uuid, p_rest boolean, p_reason text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM chats WHERE id = p_chat FOR NO KEY UPDATE;
    UPDATE messages SET bubble = bubble + 1, external_id = '', status = 'queued', shown = CASE WHEN p_rest THEN shown END,
        status_reason = p_reason, updated_at = clock_timestamp()
    WHERE id = p_message AND shown IS NOT NULL AND bubble = 0 AND status = 'sending';
END $$;
-- +goose StatementEnd

-- Memory: what an agent is told of the past. It is what people saw: parts that
-- were delivered, texts as they read now, and of an answer that was cut off
-- while it was shown what it showed.

-- A past message as the agent is told of it.
-- +goose StatementBegin
CREATE FUNCTION past_message(m messages, p_after bigint) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
    live boolean := m.shown IS NOT NULL AND m.status NOT IN ('sent', 'delivered', 'read');
BEGIN
    RETURN jsonb_build_object('fromAgent', m.direction = 'outbound', 'turnId', m.turn_id, 'channel', m.channel,
            'senderName', m.sender_name, 'senderId', m.sender_platform_id, 'at', m.created_at, 'afterSeq', p_after,
            'uncertain', m.direction = 'outbound' AND m.status IN ('sending', 'unknown') AND m.external_id = '',
            'text', CASE WHEN live THEN m.shown ELSE m.text END,
            'content', CASE WHEN live THEN jsonb_build_object('type', 'text', 'text', m.shown) ELSE m.content END)
        || CASE WHEN m.kind = 'reaction' THEN reaction_target(m)
                WHEN m.direction = 'inbound' AND m.reply_to_external <> '' THEN quoted_message(m) ELSE '{}' END;
END $$;
-- +goose StatementEnd

-- Whether people saw a message: what was only generated, failed or was
-- cancelled is no part of the past. A reaction counts while it stands.
-- +goose StatementBegin
CREATE FUNCTION was_seen(m messages) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF m.deleted_at IS NOT NULL THEN
        RETURN false;
    ELSIF m.direction = 'outbound' THEN
        RETURN m.kind = 'message' AND (m.status IN ('sent', 'delivered', 'read', 'unknown')
            OR m.shown IS NOT NULL AND m.external_id <> '' AND m.status IN ('sending', 'failed', 'cancelled'));
    ELSIF coalesce(m.access_decision, 'allow') <> 'allow' OR m.status IN ('received', 'processing') THEN
        RETURN false; -- what is still to be answered is the batch of another turn
    ELSIF m.kind = 'reaction' THEN
        RETURN NOT coalesce((m.content #>> '{reaction,removed}')::boolean, false)
            AND EXISTS (SELECT FROM messages o WHERE o.instance_id = m.instance_id AND o.direction = 'outbound'
                          AND o.external_id = m.reply_to_external AND o.external_id <> '' AND o.chat_id = m.chat_id)
            AND NOT EXISTS (SELECT FROM messages l WHERE l.chat_id = m.chat_id AND l.kind = 'reaction' AND l.direction = 'inbound'
                              AND l.created_at >= m.created_at AND l.seq > m.seq
                              AND l.reply_to_external = m.reply_to_external AND l.sender_platform_id = m.sender_platform_id);
    END IF;
    RETURN m.kind = 'message';
END $$;
-- +goose StatementEnd

-- The past of the session that everybody in the chat shares, before the batch
-- of a turn; and what had gone out, or was on its way, of replies that it
-- interrupted, which belongs between the messages of its batch.
-- +goose StatementBegin
CREATE FUNCTION chat_past(t turns, c chats, p_past int, p_within interval) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
    until  timestamptz := coalesce(t.closed_at, clock_timestamp());
    after_ timestamptz := CASE WHEN p_within > interval '0' THEN until - p_within ELSE '-infinity' END;
    past   jsonb := '[]';
    cut    jsonb;
BEGIN
    IF p_past > 0 AND split_part(t.session_key, '#', 1) = 'chat:' || t.chat_id THEN
        SELECT coalesce(jsonb_agg(past_message(h.m, 0) ORDER BY (h.m).created_at, (h.m).part_index, (h.m).id), '[]') INTO past
        FROM (SELECT m FROM messages m
              WHERE m.chat_id = t.chat_id AND m.created_at < until AND m.created_at >= after_
                -- A reset begins anew: not even what was still under way then belongs to it.
                AND (c.session_started_at IS NULL OR m.created_at > c.session_started_at
                     AND NOT EXISTS (SELECT FROM turns o WHERE o.id = m.turn_id AND o.session_key <> t.session_key))
                AND m.turn_id IS DISTINCT FROM t.id AND was_seen(m)
                AND (m.direction = 'inbound'
                     OR coalesce(m.turn_id <> ALL (ARRAY(SELECT y.id FROM turns y WHERE y.yielded_to = t.id)), true))
              ORDER BY m.created_at DESC, m.part_index DESC, m.id DESC
              LIMIT p_past) h;
    END IF;
    SELECT coalesce(jsonb_agg(past_message(m, y.last_seq) ORDER BY y.last_seq, m.created_at, m.part_index, m.id), '[]') INTO cut
    FROM turns y JOIN messages m ON m.turn_id = y.id
    WHERE y.yielded_to = t.id AND m.direction = 'outbound' AND (m.status = 'sending' AND m.deleted_at IS NULL OR was_seen(m));
    RETURN past || cut;
END $$;
-- +goose StatementEnd

-- The past of a session that is one person's: the turns of that session, in
-- whatever chat and on whatever account of the tenant. What is still being
-- answered elsewhere, or was said after this turn began to be, is not past.
-- +goose StatementBegin
CREATE FUNCTION session_past(p_session text, p_turn uuid, p_past int, p_within interval) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
    t      turns;
    until  timestamptz;
    after_ timestamptz;
BEGIN
    SELECT * INTO STRICT t FROM turns WHERE id = p_turn;
    until := coalesce(t.closed_at, clock_timestamp());
    after_ := CASE WHEN p_within > interval '0' THEN until - p_within ELSE '-infinity' END;
    RETURN (SELECT coalesce(jsonb_agg(past_message(h.m, 0) ORDER BY (h.m).created_at, (h.m).part_index, (h.m).id), '[]')
        FROM (SELECT m FROM turns s JOIN messages m ON m.turn_id = s.id
              WHERE s.session_key = p_session AND s.session_key LIKE '%person:%' AND s.tenant_id = t.tenant_id AND s.id <> t.id
                AND s.yielded_to IS DISTINCT FROM t.id -- chat_past has those
                AND m.created_at < until AND m.created_at >= after_ AND was_seen(m)
              ORDER BY m.created_at DESC, m.part_index DESC, m.id DESC
              LIMIT p_past) h);
END $$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION session_past(text, uuid, int, interval), chat_past(turns, chats, int, interval), was_seen(messages), past_message(messages, bigint);
DROP FUNCTION live_replace(uuid, uuid, boolean, text), live_adopt(turns, jsonb), live_settle(uuid, uuid, text, text, boolean),
    live_settle_locked(uuid, text, text, boolean), live_shown(uuid, uuid, text, int, text, uuid, text, text),
    live_claim(uuid, uuid, text, int, text, int, uuid, text);
DROP TYPE live_view;
DROP FUNCTION live_rows(uuid);
ALTER TABLE turns DROP COLUMN live;
ALTER TABLE messages DROP COLUMN shown, DROP COLUMN bubble;
