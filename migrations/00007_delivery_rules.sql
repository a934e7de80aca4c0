-- +goose Up

-- The rules of delivery beside the claims: a part waits for the time that its
-- platform said, and a reply that nobody wants any more expires visibly.

ALTER TABLE messages
    ADD COLUMN retry_at  timestamptz,            -- queued: not before, as the platform said
    ADD COLUMN uncertain int NOT NULL DEFAULT 0, -- times that nobody knew whether it arrived
    ADD COLUMN uncertain_try int NOT NULL DEFAULT 0, -- which try was the last of them
    ADD COLUMN doubtful  boolean NOT NULL DEFAULT false; -- a try before the last one may have arrived

-- The parts of a reply that is too old to be begun. The chat is locked.
-- Returns the reason.
-- +goose StatementBegin
CREATE FUNCTION parts_expire(t turns, p_ttl interval) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    reason text := too_old(p_ttl);
BEGIN
    WITH expired AS (
        UPDATE messages SET status = 'expired', status_reason = reason, error = reason, updated_at = clock_timestamp()
        WHERE turn_id = t.id AND direction = 'outbound' AND status = 'queued'
        RETURNING *
    )
    INSERT INTO events (id, tenant_id, type, subject, instance_id, channel, chat_id, person_id, correlation_id, data)
    SELECT uuid_v7(), m.tenant_id, 'message.expired', m.id::text, m.instance_id, m.channel, m.chat_id, m.person_id, m.correlation_id,
        jsonb_strip_nulls(jsonb_build_object('messageId', m.id, 'chatId', m.chat_id, 'personId', m.person_id, 'instanceId', m.instance_id,
            'direction', 'outbound', 'turnId', m.turn_id, 'content', m.content,
            'part', jsonb_build_object('index', m.part_index, 'count', m.part_count), 'error', reason))
    FROM expired m ORDER BY m.part_index;
    RETURN reason;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION too_old(p_ttl interval) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN 'not begun within ' || extract(epoch FROM p_ttl)::bigint || ' s (messaging.replyTtlSeconds)';
END $$;
-- +goose StatementEnd

-- A send that may have happened and is to be repeated all the same: p_try says
-- which one. Whoever made it and whoever comes after may both say so. Returns
-- how often that has been.
-- +goose StatementBegin
CREATE FUNCTION part_uncertain(p_message uuid, p_try int, p_error text) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    times int;
BEGIN
    UPDATE messages SET uncertain = uncertain + (uncertain_try < p_try)::int, uncertain_try = greatest(uncertain_try, p_try),
        doubtful = true, error = p_error, updated_at = clock_timestamp()
    WHERE id = p_message AND status = 'sending'
    RETURNING uncertain INTO times;
    RETURN coalesce(times, 0);
END $$;
-- +goose StatementEnd

-- What is not tried any more though an earlier try may have arrived is not
-- known to be unseen, whatever the last try's answer was. Of a turn, or one
-- message. The chat is locked. False: there is none.
-- +goose StatementBegin
CREATE FUNCTION parts_doubted(p_turn uuid, p_message uuid) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    WITH doubted AS (
        UPDATE messages SET status = 'unknown', error = 'an earlier try may have arrived', updated_at = clock_timestamp()
        WHERE id IN (SELECT id FROM messages WHERE turn_id = p_turn AND direction = 'outbound' UNION ALL SELECT p_message)
          AND status = 'queued' AND doubtful
        RETURNING *
    )
    INSERT INTO events (id, tenant_id, type, subject, instance_id, channel, chat_id, person_id, correlation_id, data)
    SELECT uuid_v7(), m.tenant_id, 'message.unknown', m.id::text, m.instance_id, m.channel, m.chat_id, m.person_id, m.correlation_id,
        jsonb_strip_nulls(jsonb_build_object('messageId', m.id, 'chatId', m.chat_id, 'personId', m.person_id, 'instanceId', m.instance_id,
            'direction', 'outbound', 'turnId', m.turn_id, 'content', m.content,
            'part', jsonb_build_object('index', m.part_index, 'count', m.part_count), 'error', m.error))
    FROM doubted m ORDER BY m.part_index;
    RETURN FOUND;
END $$;
-- +goose StatementEnd

-- How long the next part is, for a delay that people take for typing. 0: there is none.
-- +goose StatementBegin
CREATE FUNCTION part_length(p_turn uuid, p_index int) RETURNS int LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN coalesce((SELECT char_length(text) FROM messages
                     WHERE turn_id = p_turn AND direction = 'outbound' AND part_index = p_index), 0);
END $$;
-- +goose StatementEnd

-- Replies that ended because nobody knew whether a part arrived. Nearly always empty.
CREATE INDEX turns_unknown ON turns (finished_at) WHERE outcome = 'unknown';

-- A reply that was held for want of knowing goes on, or ends, once nothing of
-- it is unknown any more. The chat is locked. Returns the turn if it was
-- reopened: its workflow is to be started.
-- +goose StatementBegin
CREATE FUNCTION turn_unpark(t turns, c chats) RETURNS turns LANGUAGE plpgsql AS $$
DECLARE
    none    turns;
    resend  boolean := false; -- somebody wants a part sent once more
    held    boolean := false; -- the rest was kept back
    failed  boolean := false;
    stale   boolean;
    part    record;
BEGIN
    IF t.state IN ('collecting', 'answering', 'reopened') THEN
        RETURN none; -- its own sender goes on
    END IF;
    FOR part IN SELECT status, status_reason FROM messages WHERE turn_id = t.id AND direction = 'outbound' LOOP
        IF part.status = 'unknown' THEN
            IF t.outcome = 'unknown' THEN
                RETURN none;
            END IF;
        ELSIF part.status = 'queued' THEN
            resend := true;
        ELSIF part.status = 'cancelled' AND part.status_reason = 'unknown' THEN
            held := true;
        ELSIF part.status = 'failed' THEN
            failed := true;
        END IF;
    END LOOP;
    IF resend THEN
        RETURN turn_reopen(t, 'deliver.Send');
    ELSIF t.outcome <> 'unknown' THEN
        RETURN none;
    ELSIF failed THEN
        PERFORM turn_finish_locked(t, 'failed', 'a part was not sent', 'deliver.Resolve', clock_timestamp(), 1);
        RETURN none;
    ELSIF NOT held THEN
        -- Whether what arrived is the agent's answer or the fallback text is what the agent's dead letter says.
        t.error := coalesce((SELECT d.error FROM dead_letters d WHERE d.turn_id = t.id AND d.step = 'agent.Reply'
                               AND d.status <> 'retried' ORDER BY d.created_at DESC LIMIT 1), '');
        PERFORM turn_finish_locked(t, 'answered', '', 'deliver.Resolve', clock_timestamp(), 1);
        RETURN none;
    ELSIF c.paused AND (c.paused_until IS NULL OR c.paused_until > clock_timestamp()) THEN
        RETURN none; -- it is asked about again
    END IF;
    -- Nobody wants the rest of an answer after the next one, or after its time.
    stale := EXISTS (SELECT FROM turns o WHERE o.chat_id = t.chat_id AND o.closed_at > t.closed_at AND o.id <> t.id)
        OR coalesce(t.reopened_at, t.closed_at) + coalesce((SELECT (settings -> 'messaging' ->> 'replyTtlSeconds')::int FROM instances
                                                            WHERE id = t.instance_id), 86400) * interval '1 second' < clock_timestamp();
    IF stale THEN
        PERFORM turn_finish_locked(t, 'failed', 'the rest of the reply came too late', 'deliver.Resolve', clock_timestamp(), 1);
        RETURN none;
    END IF;
    RETURN turn_reopen(t, 'deliver.Send');
END $$;
-- +goose StatementEnd

-- The same for a turn that nobody resolved: a receipt of the platform did.
-- +goose StatementBegin
CREATE FUNCTION turn_unpark_parked(p_chat uuid, p_turn uuid) RETURNS turns LANGUAGE plpgsql AS $$
DECLARE
    c chats;
    t turns;
BEGIN
    SELECT * INTO STRICT c FROM chats WHERE id = p_chat FOR NO KEY UPDATE;
    SELECT * INTO STRICT t FROM turns WHERE id = p_turn;
    RETURN turn_unpark(t, c);
END $$;
-- +goose StatementEnd

CREATE TYPE resolve_view AS (
    state       text, -- resolved settled (it is not unknown) paused (a person has the chat) busy (other parts are under way)
    status      text, -- of the message now
    instance_id uuid,
    channel     text,
    chat_id     uuid,
    turn_id     uuid, -- set: it was reopened
    message_id  uuid, -- of the turn's leader, or the first part of a message sent by API
    epoch       int,
    workflow_id text,
    traceparent text,
    resumption  uuid, -- set: a message sent by API goes on
    parts       int   -- which it has
);

-- A person says what became of a message whose outcome is unknown: it was
-- sent, it was not (failed), or it is to be sent once more (resend).
-- +goose StatementBegin
CREATE FUNCTION part_resolve(p_tenant text, p_message uuid, p_outcome text, p_external text) RETURNS resolve_view LANGUAGE plpgsql AS $$
DECLARE
    m messages;
    c chats;
    t turns;
    v resolve_view;
BEGIN
    SELECT * INTO m FROM messages WHERE id = p_message AND tenant_id = p_tenant AND direction = 'outbound';
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    SELECT * INTO STRICT c FROM chats WHERE id = m.chat_id FOR NO KEY UPDATE;
    SELECT * INTO STRICT m FROM messages WHERE id = p_message;
    v.instance_id := m.instance_id; v.channel := m.channel; v.chat_id := m.chat_id; v.message_id := m.id;
    v.traceparent := m.traceparent; v.status := m.status; v.parts := m.part_count;
    IF m.status <> 'unknown' THEN
        v.state := 'settled';
        RETURN v;
    END IF;
    IF p_outcome = 'resend' AND c.paused AND (c.paused_until IS NULL OR c.paused_until > clock_timestamp()) THEN
        v.state := 'paused';
        RETURN v;
    END IF;
    IF m.turn_id IS NULL AND p_outcome <> 'failed' AND outbound_under_way(m) THEN
        v.state := 'busy'; -- two workflows would send the others
        RETURN v;
    END IF;
    UPDATE messages SET updated_at = clock_timestamp(), retry_at = NULL,
        status = CASE p_outcome WHEN 'resend' THEN 'queued' ELSE p_outcome END,
        error = CASE p_outcome WHEN 'failed' THEN 'a person says that it was not sent' ELSE '' END,
        external_id = CASE WHEN p_external <> '' THEN p_external ELSE external_id END,
        sent_at = CASE p_outcome WHEN 'sent' THEN clock_timestamp() END,
        send_at = CASE WHEN p_outcome = 'resend' AND turn_id IS NULL THEN clock_timestamp() ELSE send_at END, -- its age counts from now
        uncertain = uncertain + (p_outcome = 'resend')::int, doubtful = p_outcome = 'resend'
    WHERE id = p_message
    RETURNING * INTO m;
    IF p_outcome <> 'resend' THEN
        INSERT INTO events (id, tenant_id, type, subject, instance_id, channel, chat_id, person_id, correlation_id, data)
        VALUES (uuid_v7(), m.tenant_id, 'message.' || m.status, m.id::text, m.instance_id, m.channel, m.chat_id, m.person_id, m.correlation_id,
            jsonb_strip_nulls(jsonb_build_object('messageId', m.id, 'chatId', m.chat_id, 'personId', m.person_id, 'instanceId', m.instance_id,
                'direction', 'outbound', 'externalId', m.external_id, 'turnId', m.turn_id, 'content', m.content, 'resolvedBy', 'person',
                'part', jsonb_build_object('index', m.part_index, 'count', m.part_count), 'error', nullif(m.error, ''))));
    END IF;
    v.state := 'resolved'; v.status := m.status;
    IF m.turn_id IS NULL THEN
        v.message_id := m.correlation_id;
        IF p_outcome <> 'failed' AND outbound_release(m) OR p_outcome = 'resend' THEN
            v.resumption := outbound_resume(m);
        END IF;
    ELSE
        SELECT * INTO STRICT t FROM turns WHERE id = m.turn_id;
        t := turn_unpark(t, c);
        v.turn_id := t.id; v.epoch := t.epoch; v.workflow_id := t.workflow_id; v.message_id := coalesce(t.leader, m.id);
    END IF;
    RETURN v;
END $$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION part_resolve(text, uuid, text, text), turn_unpark_parked(uuid, uuid), turn_unpark(turns, chats);
DROP TYPE resolve_view;
DROP INDEX turns_unknown;
DROP FUNCTION part_length(uuid, int), parts_doubted(uuid, uuid), part_uncertain(uuid, int, text), too_old(interval), parts_expire(turns, interval);
ALTER TABLE messages DROP COLUMN retry_at, DROP COLUMN uncertain, DROP COLUMN uncertain_try, DROP COLUMN doubtful;
