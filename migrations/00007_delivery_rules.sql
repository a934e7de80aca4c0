-- +goose Up

-- The rules of delivery beside the claims: a part waits for the time that its
-- platform said, and a reply that nobody wants any more expires visibly.

ALTER TABLE messages
    ADD COLUMN retry_at  timestamptz,            -- queued: not before, as the platform said
    ADD COLUMN uncertain int NOT NULL DEFAULT 0; -- times that nobody knew whether it arrived

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

-- A send that may have happened and is to be repeated all the same. Returns
-- how often that has been.
-- +goose StatementBegin
CREATE FUNCTION part_uncertain(p_message uuid, p_error text) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    times int;
BEGIN
    UPDATE messages SET uncertain = uncertain + 1, error = p_error, updated_at = clock_timestamp()
    WHERE id = p_message AND status = 'sending'
    RETURNING uncertain INTO times;
    RETURN coalesce(times, 0);
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

-- +goose Down
DROP FUNCTION part_length(uuid, int), part_uncertain(uuid, text), too_old(interval), parts_expire(turns, interval);
ALTER TABLE messages DROP COLUMN retry_at, DROP COLUMN uncertain;
