-- +goose Up

-- +goose StatementBegin
CREATE FUNCTION withheld_reason() RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT 'an earlier part was not sent' $$;
-- +goose StatementEnd

-- Whether an earlier part of a message sent by API was not sent, or may not
-- have been.
-- +goose StatementBegin
CREATE FUNCTION part_blocked(m messages) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN EXISTS (SELECT FROM messages e
                   WHERE e.chat_id = m.chat_id AND e.correlation_id = m.correlation_id AND e.turn_id IS NULL
                     AND e.direction = 'outbound' AND e.part_index < m.part_index
                     -- They were stored together.
                     AND e.created_at BETWEEN m.created_at - interval '1 minute' AND m.created_at
                     AND (e.status IN ('failed', 'expired', 'cancelled')
                          OR e.status = 'unknown' AND coalesce((SELECT i.settings #>> '{messaging,unknownPolicy}'
                                                                FROM instances i WHERE i.id = m.instance_id), 'hold') <> 'skip'));
END $$;
-- +goose StatementEnd

-- Whether a workflow is about to send what is behind a part, or to withhold it.
-- +goose StatementBegin
CREATE FUNCTION outbound_under_way(m messages) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM outbound_behind(m) WHERE status IN ('queued', 'sending'))
$$;
-- +goose StatementEnd

-- A message sent by API that is longer than the channel takes is several rows,
-- sent one after the other. Where one was not sent, what comes behind it is
-- not either: it is cancelled when its turn comes. The chat is locked.
-- +goose StatementBegin
CREATE FUNCTION part_withheld(m messages) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF m.part_index = 0 OR m.turn_id IS NOT NULL OR m.status NOT IN ('queued', 'scheduled') OR NOT part_blocked(m) THEN
        RETURN false;
    END IF;
    UPDATE messages SET status = 'cancelled', status_reason = withheld_reason(), withheld_at = clock_timestamp(),
        updated_at = clock_timestamp() WHERE id = m.id;
    INSERT INTO events (id, tenant_id, type, subject, instance_id, channel, chat_id, person_id, correlation_id, data)
    VALUES (uuid_v7(), m.tenant_id, 'message.deleted', m.id::text, m.instance_id, m.channel, m.chat_id, m.person_id, m.correlation_id,
            jsonb_build_object('messageId', m.id, 'chatId', m.chat_id, 'instanceId', m.instance_id, 'direction', 'outbound',
                'status', 'cancelled', 'reason', withheld_reason()));
    RETURN true;
END $$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION part_withheld(messages), outbound_under_way(messages), part_blocked(messages), withheld_reason();
